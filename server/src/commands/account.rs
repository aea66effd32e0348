//! Users, sign-in links and tokens from the command line, for whoever owns the data directory.

use anyhow::bail;

use super::{find_user, new_login_link, open_database};
use crate::{clock::Clock, config::Config, credentials::new_api_token, grpc::decode, id::UserId};

pub async fn login_link(config: &Config, user: Option<&str>) -> anyhow::Result<()> {
    let database = open_database(config).await?;
    let user = find_user(&database, user).await?;
    if user.disabled {
        bail!("the user {:?} is disabled", user.name);
    }
    println!("{}", new_login_link(config, &database, &user).await?);
    Ok(database.close().await?)
}

pub async fn create_user(config: &Config, name: &str, administrator: bool) -> anyhow::Result<()> {
    let name =
        decode::name("name", name, 64).map_err(|error| anyhow::anyhow!(error.public_message()))?;
    let database = open_database(config).await?;
    let user = database
        .create_user(&name, administrator, Clock::system().now())
        .await?;
    println!("{}", user.id);
    Ok(database.close().await?)
}

pub async fn create_token(
    config: &Config,
    user: Option<&str>,
    name: String,
    days: i32,
) -> anyhow::Result<()> {
    let name = decode::name("name", &name, 100)
        .map_err(|error| anyhow::anyhow!(error.public_message()))?;
    let database = open_database(config).await?;
    let user = find_user(&database, user).await?;
    let now = Clock::system().now();
    let (_, secret) = new_api_token(&database, UserId(user.id), name, days, now)
        .await
        .map_err(|error| anyhow::anyhow!(error.public_message()))?;
    println!("{secret}");
    Ok(database.close().await?)
}

//! Master keys from the command line, for whoever owns the data directory.

use std::collections::BTreeSet;

use anyhow::bail;

use super::open_database;
use crate::{
    alone::{self, Alone},
    clock::Clock,
    config::Config,
    db::Database,
    server::open_vault,
};

pub async fn list(config: &Config) -> anyhow::Result<()> {
    let database = open_database(config).await?;
    let vault = open_vault(config, &database, Clock::system()).await?;
    let used = database.master_versions().await?;
    let newest = database.newest_rotation().await?;
    let running = versions_of_servers(config, &database).await?;
    let versions: BTreeSet<i32> = vault
        .versions()
        .into_iter()
        .chain(used.keys().copied())
        .collect();
    println!("version  data keys  server  state");
    for version in versions {
        let state = match &newest {
            Some(row) if row.master_version != version => "",
            Some(row) if row.end_time.is_none() => "encrypts; a rotation to it has not ended",
            _ => "encrypts",
        };
        let server = match running.as_slice() {
            [] => "stopped",
            all if all.iter().all(|has| has.contains(&version)) => "has it",
            _ => "lacks it",
        };
        let count = used.get(&version).copied().unwrap_or(0);
        println!(
            "{}",
            format!("{version:<7}  {count:<9}  {server:<8}  {state}").trim_end()
        );
    }
    Ok(database.close().await?)
}

/// Which versions of the master key each running server of this database has.
async fn versions_of_servers(
    config: &Config,
    database: &Database,
) -> anyhow::Result<Vec<Vec<i32>>> {
    let own = alone::versions_of_running(&config.data_dir)?;
    let mut all: Vec<Vec<i32>> = own.into_iter().collect();
    if !database.is_shared() {
        return Ok(all);
    }
    let here = alone::identity(&config.data_dir)?;
    let others = database.servers().await?.into_iter();
    for other in others.filter(|server| server.id != here.0) {
        let versions = other.master_versions.split(' ').map(str::parse);
        all.push(versions.collect::<Result<_, _>>()?);
    }
    Ok(all)
}

pub async fn rotate(config: &Config) -> anyhow::Result<()> {
    config.create_data_dir()?;
    let _alone = Alone::lock_rotation(&config.data_dir)?;
    let database = open_database(config).await?;
    let vault = open_vault(config, &database, Clock::system()).await?;
    let version = vault.versions()[0];
    let running = versions_of_servers(config, &database).await?;
    if !running.iter().all(|has| has.contains(&version)) {
        bail!(
            "a running server does not have the master key of version {version}: let it read the keys again (SIGHUP when they are in a file, otherwise a restart), then rotate"
        );
    }
    let rotated = vault.rotate().await?;
    if rotated.resumed {
        println!("Went on with a rotation that had not ended.");
    }
    println!(
        "Master key {version} encrypts. {} data key(s) were wrapped anew; no other master key is needed any more.",
        rotated.data_keys
    );
    Ok(database.close().await?)
}

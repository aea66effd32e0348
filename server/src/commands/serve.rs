//! `membrane serve`.

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::{find_user, new_login_link};
use crate::{
    clock::Clock,
    config::{Config, LogFormat},
    server::Server,
};

pub async fn run(config: Config, login_link: bool) -> anyhow::Result<()> {
    start_logging(&config)?;
    tracing::info!(?config, "starting");
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let server = Server::start(config.clone(), Clock::system()).await?;
    println!("Membrane is at {}", config.public_url);
    if login_link {
        let database = &server.app.database;
        let user = find_user(database, None).await?;
        println!(
            "Sign in with {}",
            new_login_link(&config, database, &user).await?
        );
        println!("(the link works once, for ten minutes; `membrane login-link` makes another)");
    }
    server.serve(listener, stop_on_signal()?).await
}

fn start_logging(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log).context("MEMBRANE_LOG is not a valid filter")?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
    Ok(())
}

fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(stop)
}

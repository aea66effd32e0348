//! `membrane serve`.

use anyhow::Context as _;
use membrane_agent::redact::Redactor;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{find_user, new_login_link};
use crate::{
    clock::Clock, config::Config, embedded_runner::EmbeddedRunner, logging, server::Server,
};

pub async fn run(config: Config, login_link: bool) -> anyhow::Result<()> {
    let logs = Redactor::default();
    logging::start(&config, logs.clone())?;
    tracing::info!(?config, "starting");
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let runners = match config.runner_listen {
        None => None,
        Some(address) => Some(
            TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address}"))?,
        ),
    };
    let server = Server::start(config.clone(), Clock::system(), logs).await?;
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
    reload_on_hangup(&server)?;
    let stop = stop_on_signal()?;
    let for_runners = runners.as_ref().unwrap_or(&listener).local_addr()?;
    if let Some(runners) = runners {
        server.serve_runners(runners);
    }
    if config.embedded_runner.wanted {
        let app = &server.app;
        let runner = EmbeddedRunner::prepare(&config, &app.database, &app.clock, for_runners);
        tokio::spawn(runner.await?.keep(stop.clone()));
    }
    server.serve(listener, stop).await
}

fn reload_on_hangup(server: &Server) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let reloader = server.reloader();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            if let Err(error) = reloader.reload().await {
                let message = format!("{error:#}");
                tracing::error!(error.message = %message, "the master keys were not read again; those from before are used");
            }
        }
    });
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

//! The `membrane-runner` program.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use membrane_runner::{
    config::{self, Config, Given},
    pool,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::AsyncReadExt as _,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<ExitCode> {
    // Asked by our own sandbox, not by a person, and the sooner the better.
    if let Some(code) = membrane_agent::sandbox::run_if_asked(config::arguments()) {
        return Ok(code);
    }
    let given = Given::parse();
    let with_parent = given.exit_with_parent;
    let config = Config::load(given, &Given::command())?;
    let filter = EnvFilter::try_new(&config.log).context("MEMBRANE_LOG is not a valid filter")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    raise_descriptors();
    // TLS of outbound requests; fails only if something installed another provider before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let worked = runtime.block_on(async {
        let (drain, stop) = stop_on_signals()?;
        tokio::select! {
            worked = pool::run(config, drain, stop) => worked,
            () = parents_end(), if with_parent => Ok(()),
        }
    });
    // A read of standard input can't be cancelled, and would be waited for.
    runtime.shutdown_background();
    worked.map(|()| ExitCode::SUCCESS)
}

/// Lets this process have as many files open as it may: several runs at once look through trees.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// The first signal lets what is at work finish, the second ends it.
fn stop_on_signals() -> anyhow::Result<(CancellationToken, CancellationToken)> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (drain, stop) = (CancellationToken::new(), CancellationToken::new());
    let tokens = (drain.clone(), stop.clone());
    tokio::spawn(async move {
        for token in [drain, stop] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(tokens)
}

/// Returns when nobody holds the other end of standard input any more.
async fn parents_end() {
    let mut input = tokio::io::stdin();
    let mut byte = [0; 1];
    while input.read(&mut byte).await.is_ok_and(|count| count > 0) {}
}

//! The scripted model as a program of its own. The first line it prints is its base URL.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use membrane_scripted::{Options, Scenario, Server};
use tokio::signal::unix::{SignalKind, signal};

/// A scripted model that speaks the Messages API.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A scenario file, or `demo`, or `puppet`.
    #[arg(long, default_value = "demo")]
    scenario: PathBuf,
    /// The key that requests must bring; any, if not given.
    #[arg(long)]
    key: Option<String>,
    /// A model that exists; all do, if none is given. May be repeated.
    #[arg(long = "model")]
    models: Vec<String>,
    /// The directory that relative paths in directives are below, unless the request names one.
    #[arg(long, default_value = "/workspace")]
    root: String,
    /// Appends the body of each request for a message to this file, one a line.
    #[arg(long)]
    bodies: Option<PathBuf>,
    /// Serves /_scripted/requests and /_scripted/scenario, to anybody.
    #[arg(long)]
    control: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let scenario = Scenario::load(&arguments.scenario).await?;
    let options = Options {
        key: arguments.key,
        models: arguments.models,
        root: arguments.root,
        bodies: arguments.bodies,
        control: arguments.control,
        ..Options::default()
    };
    let listen = arguments.listen;
    let handle = Server::bind(listen, scenario, options)
        .await
        .with_context(|| format!("could not listen on {listen}"))?;
    writeln!(std::io::stdout(), "{}", handle.base_url())?;
    ended().await?;
    handle.shutdown().await;
    Ok(())
}

async fn ended() -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Ok(())
}

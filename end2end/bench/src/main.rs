//! `make bench`: measures Membrane side by side with limits and a peer. Figures are for people: it
//! never fails because of them, only when something was lost, reordered or could not be started.

// A bench prints; nothing else of it is heard.
#![allow(
    clippy::disallowed_macros,
    reason = "a bench answers on standard output"
)]

mod child;
mod http;
mod measure;
mod membrane;
mod plan;
mod processes;
mod raw;
mod rounds;
mod rows;
mod store;
mod subscribe;
mod trees;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures Membrane.
#[derive(Debug, Parser)]
#[command(name = "membrane-bench", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    settings: Settings,
}

/// What to measure, and with what.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Rows by their number in the list of goals; all that there are if none is given.
    rows: Vec<u8>,
    /// Rounds that are to be kept; up to twice as many are tried.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Directory for everything that is stored.
    #[arg(long, default_value = "/tmp")]
    data: PathBuf,
    /// The release binary of the server.
    #[arg(long, default_value = "target/release/membrane")]
    membrane: PathBuf,
    /// The browser bundle.
    #[arg(long, default_value = "target/site")]
    site: PathBuf,
    /// Where cargo keeps the sources of crates, which make trees to measure with.
    #[arg(long)]
    crates: PathBuf,
    /// The Python that the peer runs with; without it there is no peer.
    #[arg(long)]
    python: Option<PathBuf>,
    /// The peer's program.
    #[arg(long, default_value = "end2end/bench/peer/main.py")]
    peer: PathBuf,
}

/// Servers in processes of their own, which the driver starts and commands.
#[derive(Debug, Subcommand)]
enum Part {
    /// Membrane itself, with a producer beside its event log.
    #[command(hide = true)]
    ServeMembrane(membrane::Options),
    /// tonic and nothing else.
    #[command(hide = true)]
    ServeRaw(raw::Options),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // Fails only if something installed another provider before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            match cli.part {
                Some(Part::ServeMembrane(options)) => membrane::serve(options).await,
                Some(Part::ServeRaw(options)) => raw::serve(options).await,
                None => rows::run(&cli.settings).await,
            }
        })
}

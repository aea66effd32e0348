//! The `membrane` program.

use clap::{CommandFactory as _, Parser as _};
use membrane_server::{commands::Cli, config::Config};

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let config = Config::load(cli.given.clone(), &Cli::command())?;
    // TLS of outbound requests; fails only if something installed another provider before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(cli.run(config))
}

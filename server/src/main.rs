//! The `membrane` program.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use membrane_server::{commands::Cli, config};

fn main() -> anyhow::Result<ExitCode> {
    // Asked by our own sandbox, not by a person, and the sooner the better.
    if let Some(code) = membrane_agent::sandbox::run_if_asked(config::arguments()) {
        return Ok(code);
    }
    let cli = Cli::parse();
    let config = config::Config::load(cli.given.clone(), &Cli::command())?;
    // TLS of outbound requests; fails only if something installed another provider before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(cli.run(config))?;
    Ok(ExitCode::SUCCESS)
}

//! Where the log goes: to standard error, masked, panics included.

use anyhow::Context as _;
use membrane_agent::redact::Redactor;
use tracing_subscriber::EnvFilter;

use crate::{
    config::{Config, LogFormat},
    redaction::MaskedLog,
};

/// Starts the log of this process, once. What `redactor` knows when a line is written is masked.
///
/// # Errors
/// When the configured filter is none, in words for an operator.
pub fn start(config: &Config, redactor: Redactor) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log).context("MEMBRANE_LOG is not a valid filter")?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(MaskedLog::new(redactor, std::io::stderr));
    match config.log_format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
    // What a panic says may hold a secret: it goes where it is masked.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(panic.message = %panic, "a part of the server panicked");
    }));
    Ok(())
}

//! `membrane doctor`.

use anyhow::bail;
use membrane_agent::sandbox::{Outcome, SandboxConfig, doctor};

use crate::config::Config;

pub async fn run(config: &Config) -> anyhow::Result<()> {
    // It leaves nothing behind, not even a data directory.
    let sandbox = SandboxConfig {
        etc: None,
        ..config.sandbox.clone()
    };
    let checks = doctor(&sandbox).await;
    for check in &checks {
        let mark = match check.outcome {
            Outcome::Ok => "ok  ",
            Outcome::Warn => "warn",
            Outcome::Fail => "FAIL",
        };
        println!("{mark}  {}: {}", check.name, check.detail);
        if !check.fix.is_empty() {
            println!("      fix: {}", check.fix);
        }
    }
    if checks.iter().any(|check| check.outcome == Outcome::Fail) {
        bail!("the sandbox is not available here: sessions will be refused");
    }
    Ok(())
}

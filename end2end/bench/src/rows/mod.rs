//! The rows that there are, by their number in the list of goals.

mod archives;
mod broker;
mod cold_start;
mod event_latency;
mod fan_out;
mod first_page;
mod listing;
mod manifests;
mod redaction;
mod sandbox;
mod searching;
mod throughput;

use std::{net::SocketAddr, path::Path, process::Stdio};

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};

use crate::Settings;

const ROWS: [u8; 12] = [1, 2, 3, 5, 6, 8, 10, 11, 12, 13, 15, 16];

/// Measures the rows that were asked for, one after the other.
///
/// # Errors
/// When something is missing, was lost or was reordered; never because of a figure.
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let rows = match settings.rows.as_slice() {
        [] => &ROWS,
        some => some,
    };
    if settings.python.is_none() {
        println!("no --python: the FastAPI peer is left out\n");
    }
    for row in rows {
        match row {
            1 => event_latency::run(settings).await,
            2 => throughput::run(settings).await,
            3 => fan_out::run(settings).await,
            5 => archives::run(settings).await,
            6 => manifests::run(settings).await,
            8 => cold_start::run(settings).await,
            10 => first_page::run(settings).await,
            11 => sandbox::run(settings).await,
            12 => listing::run(settings).await,
            13 => searching::run(settings).await,
            15 => redaction::run(settings).await,
            16 => broker::run(settings).await,
            other => bail!("there is no row {other}; there are {ROWS:?}"),
        }
        .with_context(|| format!("row {row}"))?;
    }
    Ok(())
}

/// The release binary, serving in a directory. Killed when it is dropped.
fn start_binary(settings: &Settings, data: &Path, port: u16) -> anyhow::Result<Child> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut program = Command::new(&settings.membrane);
    program
        .args(["serve", "--embedded-runner", "false", "--data-dir"])
        .arg(data)
        .args(["--listen", &address.to_string(), "--site-dir"])
        .arg(std::path::absolute(&settings.site)?)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let started = program.spawn();
    started.with_context(|| format!("cannot start {}", settings.membrane.display()))
}

/// A port that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}

//! Row 8: from exec to healthy and to the first page; memory when idle.

use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use tempfile::TempDir;

use super::{free_port, start_binary};
use crate::{
    Settings,
    child::Child,
    http::{client, until_answered},
    measure::now,
    processes::resident,
    rounds::{self, Figures, Part, Row},
};

/// Before memory is looked at.
const IDLE: Duration = Duration::from_secs(2);

const ROW: Row = Row {
    title: "8: cold start and idle memory",
    compared: "exec of the release binary on a data directory that is there already, asking every \
        millisecond until GET /health and then GET /sign-in answer; resident memory of the process \
        and its children two seconds later. The peer does the same on an empty database, with a \
        page of one line",
    persisted: "both open a database",
    goal: "at most 100 ms and 30 MB (the other peer of the goal, CloudCLI, is not part of this)",
};

struct Membrane {
    settings: Settings,
    directory: TempDir,
}

#[async_trait]
impl Part for Membrane {
    fn name(&self) -> &str {
        "membrane"
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let port = free_port()?;
        let begun = now();
        let process = start_binary(&self.settings, self.directory.path(), port)?;
        let address = format!("127.0.0.1:{port}");
        figures(&address, begun, process.id()).await
    }
}

struct Peer {
    settings: Settings,
    directory: TempDir,
}

#[async_trait]
impl Part for Peer {
    fn name(&self) -> &str {
        "FastAPI peer"
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let begun = now();
        let child = Child::peer(&self.settings, self.directory.path()).await?;
        let child = child.context("there is no peer")?;
        figures(&child.ready.address, begun, child.process.id()).await
    }
}

async fn figures(address: &str, begun: u64, process: Option<u32>) -> anyhow::Result<Figures> {
    let client = client()?;
    let healthy = until_answered(&client, &format!("http://{address}/health"), begun).await?;
    let page = until_answered(&client, &format!("http://{address}/sign-in"), begun).await?;
    tokio::time::sleep(IDLE).await;
    let process = process.context("it ended")?;
    Ok(vec![
        ("healthy ms", healthy),
        ("page ms", page),
        ("RSS MB", resident(process)? as f64 / 1e6),
    ])
}

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let mut membrane = Membrane {
        settings: settings.clone(),
        directory: tempfile::tempdir_in(&settings.data)?,
    };
    // The very first start makes keys and tables.
    membrane.measure().await?;
    let mut parts: Vec<Box<dyn Part>> = vec![Box::new(membrane)];
    if settings.python.is_some() {
        parts.push(Box::new(Peer {
            settings: settings.clone(),
            directory: tempfile::tempdir_in(&settings.data)?,
        }));
    }
    rounds::run(settings, ROW, &mut parts, &[]).await
}

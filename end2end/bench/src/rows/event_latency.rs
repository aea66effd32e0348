//! Row 1: how long from a producer to two subscribers, by way of a commit.

use async_trait::async_trait;
use tempfile::TempDir;

use crate::{
    Settings,
    child::Child,
    measure::percentile_ms,
    plan::Plan,
    rounds::{self, Figures, Part, Row},
    subscribe::{Gathering, Subscriber},
};

const PER_SECOND: u64 = 200;
const EVENTS: u64 = 400;

const ROW: Row = Row {
    title: "1: event latency",
    compared: "200 events of 300 B a second to one session, 400 a round, to two subscribers on two \
        connections, from the intended send time to decoded. Membrane's are one over gRPC and one \
        over grpc-web (HTTP/1.1); the partners' are two of their own kind in the same columns. \
        Producers are threads of the servers' processes",
    persisted: "every one: SQLite, WAL, synchronous FULL, committed before it is sent",
    goal: "p50 at most 2 times the floor of two hops, p99 at most 5 ms; at least 3 times faster \
        than the peer",
};

struct Server {
    name: &'static str,
    child: Child,
    subscribers: Vec<Subscriber>,
    _directory: TempDir,
}

#[async_trait]
impl Part for Server {
    fn name(&self) -> &str {
        self.name
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let gathering = Gathering::begin(&mut self.subscribers, EVENTS);
        self.child.produce(Plan::paced(PER_SECOND, EVENTS)).await?;
        let mut arrived = gathering.end(&mut self.subscribers).await?;
        let mut figure =
            |subscriber: usize, percent| percentile_ms(&mut arrived[subscriber].latencies, percent);
        Ok(vec![
            ("gRPC p50 ms", figure(0, 50)),
            ("p99 ms", figure(0, 99)),
            ("web p50 ms", figure(1, 50)),
            ("web p99 ms", figure(1, 99)),
        ])
    }
}

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let mut parts: Vec<Box<dyn Part>> = vec![
        Box::new(membrane(settings).await?),
        Box::new(raw(settings, "floor: 2 tonic hops + 1 insert", true).await?),
        Box::new(raw(settings, "1 tonic hop + 1 insert", false).await?),
    ];
    if let Some(peer) = peer(settings).await? {
        parts.push(Box::new(peer));
    }
    rounds::run(settings, ROW, &mut parts, &[]).await
}

async fn membrane(settings: &Settings) -> anyhow::Result<Server> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    let child = Child::own(&["serve-membrane"], directory.path()).await?;
    let subscribers = vec![
        Subscriber::grpc(&child.ready, 0, 0).await?,
        Subscriber::web(&child.ready, 0).await?,
    ];
    Ok(Server {
        name: "membrane",
        child,
        subscribers,
        _directory: directory,
    })
}

async fn raw(settings: &Settings, name: &'static str, relay: bool) -> anyhow::Result<Server> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    let arguments: &[&str] = match relay {
        true => &["serve-raw", "--store", "--relay"],
        false => &["serve-raw", "--store"],
    };
    let child = Child::own(arguments, directory.path()).await?;
    let subscribers = vec![
        Subscriber::grpc(&child.ready, 0, 0).await?,
        Subscriber::grpc(&child.ready, 0, 0).await?,
    ];
    Ok(Server {
        name,
        child,
        subscribers,
        _directory: directory,
    })
}

async fn peer(settings: &Settings) -> anyhow::Result<Option<Server>> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    let Some(child) = Child::peer(settings, directory.path()).await? else {
        return Ok(None);
    };
    let subscribers = vec![
        Subscriber::socket(&child.ready, 0).await?,
        Subscriber::socket(&child.ready, 0).await?,
    ];
    Ok(Some(Server {
        name: "FastAPI peer",
        child,
        subscribers,
        _directory: directory,
    }))
}

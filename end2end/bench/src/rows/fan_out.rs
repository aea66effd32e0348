//! Row 3: one session, a thousand subscribers on a thousand connections, and one that stalls.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use rustix::process::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::{
    Settings,
    child::Child,
    measure::{now, percentile_ms},
    plan::{Plan, Ready},
    rounds::{self, Figures, Part, Row},
    subscribe::{Gathering, Subscriber, WATCHES},
};

const SUBSCRIBERS: usize = 1_000;
/// Who hold them: one may have only so many watches.
const READERS: usize = SUBSCRIBERS.div_ceil(WATCHES);
/// Connections that are made at the same time.
const AT_ONCE: usize = 32;
const PER_SECOND: u64 = 20;
const PACED: u64 = 100;

const ROW: Row = Row {
    title: "3: one session to 1,000 subscribers on 1,000 connections",
    compared: "100 events of 300 B at 20 a second, from the intended send time to decoded by each \
        of 1,000; then 300 as fast as they are taken (the peer: 20), until the last has the last. \
        Once more with a further subscriber that never reads. One driver decodes for all thousand \
        on the same cores",
    persisted: "Membrane and the peer: SQLite, WAL, synchronous FULL; raw tonic: not at all",
    goal: "p99 at most 1.5 times raw, at least 50 % of raw deliveries a second; the stalled reader \
        moves the others' p99 by at most 10 %",
};

/// A subscriber and where it connects: server, number.
type Connect = fn(Ready, usize) -> futures::future::BoxFuture<'static, anyhow::Result<Subscriber>>;

struct Server {
    child: Child,
    subscribers: Vec<Subscriber>,
    burst: u64,
    _directory: TempDir,
}

/// One way of measuring a server; there may be several of one.
struct View {
    name: &'static str,
    server: Arc<Mutex<Server>>,
    /// The reader that adds one who never reads, if one does.
    stalled: Option<usize>,
}

#[async_trait]
impl Part for View {
    fn name(&self) -> &str {
        self.name
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let mut server = self.server.lock().await;
        let _stalled = match self.stalled {
            Some(reader) => Some(Subscriber::stalled(&server.child.ready, reader).await?),
            None => None,
        };
        let mut latencies = server.paced().await?;
        Ok(vec![
            ("p50 ms", percentile_ms(&mut latencies, 50)),
            ("p99 ms", percentile_ms(&mut latencies, 99)),
            ("deliveries/s", server.deliveries().await?),
        ])
    }
}

impl Server {
    async fn paced(&mut self) -> anyhow::Result<Vec<u64>> {
        let gathering = Gathering::begin(&mut self.subscribers, PACED);
        self.child.produce(Plan::paced(PER_SECOND, PACED)).await?;
        let arrived = gathering.end(&mut self.subscribers).await?;
        Ok(arrived.into_iter().flat_map(|one| one.latencies).collect())
    }

    async fn deliveries(&mut self) -> anyhow::Result<f64> {
        let gathering = Gathering::begin(&mut self.subscribers, self.burst);
        let begun = now();
        self.child.produce(Plan::burst(1, self.burst, 100)).await?;
        let arrived = gathering.end(&mut self.subscribers).await?;
        let end = arrived.iter().map(|one| one.end).max().unwrap_or(begun);
        let seconds = (end - begun) as f64 / 1e9;
        Ok(self.burst as f64 * SUBSCRIBERS as f64 / seconds)
    }
}

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    raise_limit()?;
    let membrane = membrane(settings).await?;
    let mut parts = vec![
        view("membrane", &membrane, None),
        view("raw tonic broadcast", &raw(settings).await?, None),
        view("membrane, one stalled", &membrane, Some(READERS)),
    ];
    if let Some(peer) = peer(settings).await? {
        parts.push(view("FastAPI peer", &peer, None));
    }
    rounds::run(settings, ROW, &mut parts, &[(2, 0)]).await
}

/// Children inherit it.
fn raise_limit() -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

fn view(name: &'static str, server: &Arc<Mutex<Server>>, stalled: Option<usize>) -> Box<dyn Part> {
    Box::new(View {
        name,
        server: server.clone(),
        stalled,
    })
}

async fn membrane(settings: &Settings) -> anyhow::Result<Arc<Mutex<Server>>> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    // One more for the stalled one.
    let readers = (READERS + 1).to_string();
    let arguments = ["serve-membrane", "--readers", &readers];
    let child = Child::own(&arguments, directory.path()).await?;
    server(directory, child, 300, |ready, number| {
        Box::pin(async move { Subscriber::grpc(&ready, 0, number / WATCHES).await })
    })
    .await
}

async fn raw(settings: &Settings) -> anyhow::Result<Arc<Mutex<Server>>> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    let child = Child::own(&["serve-raw"], directory.path()).await?;
    server(directory, child, 300, |ready, _| {
        Box::pin(async move { Subscriber::grpc(&ready, 0, 0).await })
    })
    .await
}

async fn peer(settings: &Settings) -> anyhow::Result<Option<Arc<Mutex<Server>>>> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    let Some(child) = Child::peer(settings, directory.path()).await? else {
        return Ok(None);
    };
    let connect: Connect = |ready, _| Box::pin(async move { Subscriber::socket(&ready, 0).await });
    Ok(Some(server(directory, child, 20, connect).await?))
}

/// A server with its thousand subscribers.
async fn server(
    directory: TempDir,
    child: Child,
    burst: u64,
    connect: Connect,
) -> anyhow::Result<Arc<Mutex<Server>>> {
    let subscribers = futures::stream::iter(0..SUBSCRIBERS)
        .map(|number| connect(child.ready.clone(), number))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(Arc::new(Mutex::new(Server {
        child,
        subscribers,
        burst,
        _directory: directory,
    })))
}

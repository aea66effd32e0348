//! Row 2: how many events a second can be stored, and sent, for fifty sessions; and whether what
//! was acknowledged is still there after a kill -9.

use anyhow::ensure;
use async_trait::async_trait;
use tempfile::TempDir;

use crate::{
    Settings,
    child::Child,
    measure::{now, percentile_ms},
    plan::{self, BYTES, Command, Plan},
    rounds::{self, Figures, Part, Row},
    store::Store,
    subscribe::{Gathering, Subscriber},
};

const SESSIONS: usize = 50;
/// Events of one session that wait to be stored at any time.
const WINDOW: usize = 20;
const BATCH: usize = 100;
/// Acknowledgements before the server is killed.
const ACKNOWLEDGED: i64 = 500;

const ROW: Row = Row {
    title: "2: sustained stored events a second",
    compared: "50 sessions with a subscriber each on a connection each, 300 B, closed loop with 20 \
        events of each session under way: 50,000 events a round, until the last is stored, and \
        from being sent to decoded. SQLite stores the same rows alone. The peer gets 2,000 events, \
        one of each session under way",
    persisted: "every one: SQLite, WAL, synchronous FULL; Membrane commits what is waiting, SQLite \
        alone 100 at a time, the peer each event",
    goal: "at least 25 % of SQLite alone, p99 at most 50 ms; at least 15 times the peer",
};

struct Server {
    name: &'static str,
    child: Child,
    subscribers: Vec<Subscriber>,
    plan: Plan,
    directory: TempDir,
    stored: u64,
}

#[async_trait]
impl Part for Server {
    fn name(&self) -> &str {
        self.name
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let each = self.plan.count / SESSIONS as u64;
        let gathering = Gathering::begin(&mut self.subscribers, each);
        let produced = self.child.produce(self.plan).await?;
        let arrived = gathering.end(&mut self.subscribers).await?;
        self.stored += each;
        self.check_stored()?;
        let mut latencies: Vec<u64> = arrived.into_iter().flat_map(|one| one.latencies).collect();
        Ok(vec![
            ("events/s", self.plan.count as f64 / produced.seconds),
            ("p50 ms", percentile_ms(&mut latencies, 50)),
            ("p99 ms", percentile_ms(&mut latencies, 99)),
        ])
    }
}

impl Server {
    /// What was acknowledged is in the file, as another process sees it.
    fn check_stored(&self) -> anyhow::Result<()> {
        let file = self.directory.path().join("membrane.db");
        if !file.exists() {
            return Ok(());
        }
        let store = Store::open(&file)?;
        for stream in &self.child.ready.streams {
            let count = store.count(stream)?;
            let wanted = i64::try_from(self.stored)?;
            ensure!(count == wanted, "{stream} has {count} events, not {wanted}");
        }
        Ok(())
    }
}

struct Limit {
    store: Store,
    streams: Vec<String>,
    stored: i64,
    _directory: TempDir,
}

#[async_trait]
impl Part for Limit {
    fn name(&self) -> &str {
        "SQLite alone, batches of 100"
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let (each, text) = (1_000, plan::text(0, 0, BYTES));
        let begun = now();
        self.store
            .insert_batches(&self.streams, self.stored, each, BATCH, &text)?;
        let seconds = (now() - begun) as f64 / 1e9;
        self.stored += each;
        Ok(vec![("events/s", each as f64 * SESSIONS as f64 / seconds)])
    }
}

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let mut parts: Vec<Box<dyn Part>> = vec![
        Box::new(membrane(settings).await?),
        Box::new(limit(settings)?),
    ];
    if let Some(peer) = peer(settings).await? {
        parts.push(Box::new(peer));
    }
    rounds::run(settings, ROW, &mut parts, &[]).await?;
    kill(settings).await
}

async fn membrane(settings: &Settings) -> anyhow::Result<Server> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    let sessions = SESSIONS.to_string();
    let arguments = ["serve-membrane", "--sessions", &sessions];
    let child = Child::own(&arguments, directory.path()).await?;
    let mut subscribers = Vec::new();
    for session in 0..SESSIONS {
        subscribers.push(Subscriber::grpc(&child.ready, session, 0).await?);
    }
    Ok(Server {
        name: "membrane",
        child,
        subscribers,
        plan: Plan::burst(SESSIONS, 1_000, WINDOW),
        directory,
        stored: 0,
    })
}

fn limit(settings: &Settings) -> anyhow::Result<Limit> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    // As long as the server's names of streams.
    let name = |session| format!("sessions/{session:036}");
    Ok(Limit {
        store: Store::open(&directory.path().join("limit.db"))?,
        streams: (0..SESSIONS).map(name).collect(),
        stored: 0,
        _directory: directory,
    })
}

async fn peer(settings: &Settings) -> anyhow::Result<Option<Server>> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    let Some(child) = Child::peer(settings, directory.path()).await? else {
        return Ok(None);
    };
    let mut subscribers = Vec::new();
    for session in 0..SESSIONS {
        subscribers.push(Subscriber::socket(&child.ready, session).await?);
    }
    Ok(Some(Server {
        name: "FastAPI peer",
        child,
        subscribers,
        plan: Plan::burst(SESSIONS, 40, 1),
        directory,
        stored: 0,
    }))
}

async fn kill(settings: &Settings) -> anyhow::Result<()> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    let mut child = Child::own(&["serve-membrane"], directory.path()).await?;
    child.command(Command::Acknowledge).await?;
    let mut last = 0;
    while last < ACKNOWLEDGED {
        last = child.number().await?;
    }
    child.process.kill().await?;
    let store = Store::open(&directory.path().join("membrane.db"))?;
    let count = store.count(&child.ready.streams[0])?;
    ensure!(count >= last, "{last} were acknowledged, {count} are left");
    println!("  after kill -9: {last} events were acknowledged, {count} are stored\n");
    Ok(())
}

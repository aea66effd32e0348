//! The writer: one task that commits whatever has arrived since the last commit as one group, so
//! that a hundred sessions share an fsync, and publishes it afterwards.

use std::time::Duration;

use membrane_proto::v1::{Delta, Event};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use crate::{
    clock::Clock,
    db::{AppendError, Database, DbError, NewEvent, is_passing},
    signals::Signals,
};

/// Appends that may wait for the writer; more make their senders wait.
const WAITING: usize = 1_024;
/// Events in one commit at most.
const GROUP: usize = 1_000;

/// How long a database that is away is waited for, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);

/// The event could not be stored: the database failed or the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the event could not be stored")]
pub struct LogGone;

struct Append {
    event: NewEvent,
    stored: oneshot::Sender<()>,
}

/// The log as its users hold it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventLog {
    appends: mpsc::Sender<Append>,
    /// The live side.
    pub hub: Hub,
}

/// The writer's loop.
pub struct LogService {
    appends: mpsc::Receiver<Append>,
    hub: Hub,
    database: Database,
    clock: Clock,
}

impl EventLog {
    /// A log and the service that writes it.
    #[must_use]
    pub fn new(database: Database, clock: Clock) -> (Self, LogService) {
        let (appends, waiting) = mpsc::channel(WAITING);
        let hub = Hub::new(match database.is_shared() {
            true => Signals::sent(),
            false => Signals::default(),
        });
        let service = LogService {
            appends: waiting,
            hub: hub.clone(),
            database,
            clock,
        };
        (Self { appends, hub }, service)
    }

    /// Stores an event; returns when it is durable.
    ///
    /// # Errors
    /// [`LogGone`].
    pub async fn append(&self, event: NewEvent) -> Result<(), LogGone> {
        let (stored, done) = oneshot::channel();
        self.enqueue(event, stored).await?;
        done.await.map_err(|_| LogGone)
    }

    /// Hands an event to the writer, which answers `stored` when it is durable and drops it when
    /// it can't be.
    ///
    /// # Errors
    /// [`LogGone`].
    pub async fn enqueue(
        &self,
        event: NewEvent,
        stored: oneshot::Sender<()>,
    ) -> Result<(), LogGone> {
        let append = Append { event, stored };
        self.appends.send(append).await.map_err(|_| LogGone)
    }

    /// Shows a piece of a block.
    pub fn delta(&self, delta: Delta) {
        self.hub.delta(delta);
    }

    /// Tells of events that a transaction elsewhere has stored.
    pub fn publish(&self, events: Vec<Event>) {
        self.hub.publish(events);
    }
}

impl LogService {
    /// Writes until `stop`, then writes what has arrived, and ends.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut group = Vec::with_capacity(GROUP);
        loop {
            let received = tokio::select! {
                received = self.appends.recv_many(&mut group, GROUP) => received,
                () = stop.cancelled() => {
                    self.appends.close();
                    self.appends.recv_many(&mut group, GROUP).await
                }
            };
            if received == 0 {
                return;
            }
            self.commit(std::mem::take(&mut group)).await;
        }
    }

    /// Stores events. Where the database is another process, which may be away for a moment, it is
    /// tried again.
    async fn store(&self, events: Vec<NewEvent>) -> Result<Vec<Option<Event>>, DbError> {
        let now = self.clock.now();
        if !self.database.is_shared() {
            return once(self.database.append_events(events, now).await);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let appending = self.database.append_events(events.clone(), now);
            let error = match timeout(PATIENCE, appending).await {
                Ok(Ok(stored)) => return Ok(stored),
                Ok(Err(AppendError::Failed(error))) => error,
                Ok(Err(AppendError::Unknown(error, stored))) => {
                    if self.were_stored(&stored, deadline).await? {
                        return Ok(stored);
                    }
                    error
                }
                Err(_) => return Err(DbError::Custom("the database does not answer".to_owned())),
            };
            if !is_passing(&error) || Instant::now() > deadline {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    /// Whether events are there whose commit had no answer, as soon as that can be known.
    async fn were_stored(
        &self,
        events: &[Option<Event>],
        deadline: Instant,
    ) -> Result<bool, DbError> {
        loop {
            match self.database.were_stored(events).await {
                Err(error) if is_passing(&error) && Instant::now() < deadline => {
                    sleep(PAUSE).await;
                }
                known => return known,
            }
        }
    }

    async fn commit(&self, group: Vec<Append>) {
        let (events, waiting): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|append| (append.event, append.stored))
            .unzip();
        match self.store(events).await {
            Ok(stored) => {
                let waiting = waiting.into_iter().zip(&stored);
                let told: Vec<_> = waiting
                    .filter_map(|(done, event)| event.is_some().then_some(done))
                    .collect();
                self.hub.publish(stored.into_iter().flatten().collect());
                for done in told {
                    // An error means that the engine stopped waiting; the event is stored anyway.
                    let _ = done.send(());
                }
            }
            Err(error) => tracing::error!(error.message = %error, "events could not be stored"),
        }
    }
}

fn once(appended: Result<Vec<Option<Event>>, AppendError>) -> Result<Vec<Option<Event>>, DbError> {
    appended.map_err(|error| match error {
        AppendError::Failed(error) | AppendError::Unknown(error, _) => error,
    })
}

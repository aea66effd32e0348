//! The writer: one task that commits whatever has arrived since the last commit as one group, so
//! that a hundred sessions share an fsync, and publishes it afterwards.

use membrane_proto::v1::{Delta, Event};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use crate::{
    clock::Clock,
    db::{Database, NewEvent},
    signals::Signals,
};

/// Appends that may wait for the writer; more make their senders wait.
const WAITING: usize = 1_024;
/// Events in one commit at most.
const GROUP: usize = 1_000;

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

    async fn commit(&self, group: Vec<Append>) {
        let (events, waiting): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|append| (append.event, append.stored))
            .unzip();
        match self.database.append_events(events, self.clock.now()).await {
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

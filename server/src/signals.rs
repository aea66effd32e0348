//! What is to be told to the other servers of a database, gathered until it is sent: many changes in
//! a moment make one signal.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::db::Signal;

/// How long changes are gathered.
const MOMENT: Duration = Duration::from_millis(5);

/// What is to be told; nothing is kept where there are no other servers. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Signals(Option<Arc<Gathered>>);

#[derive(Debug, Default)]
struct Gathered {
    pending: Mutex<Pending>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    streams: BTreeSet<String>,
    queued: bool,
    interrupts: bool,
    secrets: bool,
}

impl Signals {
    /// Signals that are sent.
    #[must_use]
    pub fn sent() -> Self {
        Self(Some(Arc::default()))
    }

    /// Streams have new events.
    pub fn streams<'a>(&self, streams: impl Iterator<Item = &'a str>) {
        self.add(|pending| {
            for stream in streams {
                if !pending.streams.contains(stream) {
                    pending.streams.insert(stream.to_owned());
                }
            }
        });
    }

    /// There may be a run to claim.
    pub fn queued(&self) {
        self.add(|pending| pending.queued = true);
    }

    /// Turns of another server are to be stopped.
    pub fn interrupts(&self) {
        self.add(|pending| pending.interrupts = true);
    }

    /// Secrets or keys were stored that are to be masked.
    pub fn secrets(&self) {
        self.add(|pending| pending.secrets = true);
    }

    /// Keeps what could not be told for the next time.
    pub fn put_back(&self, signal: Signal) {
        self.add(|pending| {
            pending.streams.extend(signal.streams);
            pending.queued |= signal.queued;
            pending.interrupts |= signal.interrupts;
            pending.secrets |= signal.secrets;
        });
    }

    /// Waits until there is something to tell, and takes it.
    pub async fn take(&self) -> Signal {
        let Some(gathered) = &self.0 else {
            return std::future::pending().await;
        };
        gathered.bell.notified().await;
        tokio::time::sleep(MOMENT).await;
        let pending = std::mem::take(&mut *gathered.lock());
        Signal {
            streams: pending.streams.into_iter().collect(),
            queued: pending.queued,
            interrupts: pending.interrupts,
            secrets: pending.secrets,
        }
    }

    fn add(&self, change: impl FnOnce(&mut Pending)) {
        let Some(gathered) = &self.0 else {
            return;
        };
        change(&mut gathered.lock());
        gathered.bell.notify_one();
    }
}

impl Gathered {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        // Every change leaves it whole, so a panic elsewhere does not spoil it.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

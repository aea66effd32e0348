//! A watch: several streams followed at once into one response, with heartbeats, a re-check of the
//! caller's right to read, and a typed end.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use membrane_proto::v1::{End, EndReason, WatchResponse, watch_response::Kind};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, Id, JoinSet},
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    follow::{Follower, Stop},
    log::EventLog,
};
use crate::{clock::Clock, db::Database, error::Error, id::UserId, time::heartbeat};

/// Messages that may wait for a slow reader; then its followers wait, and lag.
const BUFFER: usize = 64;
/// How often a quiet watch says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a watch of a stopping server may take to send what is stored.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How often the right to read is checked again.
const RECHECK: Duration = Duration::from_secs(5);
/// Watches that one user may have open.
const MAX_WATCHES: usize = 64;

/// Counts each user's open watches. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Watchers {
    open: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// One user's place among the open watches; given back when dropped.
#[derive(Debug)]
struct Place {
    watchers: Watchers,
    user: UserId,
}

impl Watchers {
    fn enter(&self, user: UserId) -> Result<Place, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_default();
        if *count >= MAX_WATCHES {
            return Err(Error::Exhausted {
                reason: "TOO_MANY_WATCHES",
                message: format!(
                    "at most {MAX_WATCHES} watches can be open at once; one watch takes several streams"
                ),
            });
        }
        *count += 1;
        Ok(Place {
            watchers: self.clone(),
            user,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .watchers
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

/// What a watch needs beside its streams.
#[derive(Debug, Clone)]
pub struct Watcher {
    /// What is stored.
    pub database: Database,
    /// What is live.
    pub log: EventLog,
    /// The time for heartbeats.
    pub clock: Clock,
    /// Who else watches.
    pub watchers: Watchers,
    /// Ends every watch when the server stops.
    pub stopping: CancellationToken,
}

impl Watcher {
    /// Begins to follow `streams`, each from the sequence after its cursor. `may_read` is asked
    /// again and again whether the caller may still read a stream.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when the user has too many watches open.
    pub fn watch<Check, Answer>(
        self,
        user: UserId,
        streams: Vec<(String, i64)>,
        may_read: Check,
    ) -> Result<mpsc::Receiver<WatchResponse>, Error>
    where
        Check: Fn(String) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = bool> + Send,
    {
        let place = self.watchers.enter(user)?;
        let (out, responses) = mpsc::channel(BUFFER);
        tokio::spawn(async move {
            let _place = place;
            self.run(streams, out, may_read).await;
        });
        Ok(responses)
    }

    async fn run<Check, Answer>(
        self,
        streams: Vec<(String, i64)>,
        out: mpsc::Sender<WatchResponse>,
        may_read: Check,
    ) where
        Check: Fn(String) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = bool> + Send,
    {
        let mut followers = JoinSet::new();
        let mut names: HashMap<Id, (String, AbortHandle)> = HashMap::new();
        for (stream, sent) in streams {
            let follower = Follower {
                stream: stream.clone(),
                sent,
                database: self.database.clone(),
                hub: self.log.hub.clone(),
                out: out.clone(),
            };
            let task = followers.spawn(follower.run());
            names.insert(task.id(), (stream, task));
        }
        let mut heartbeats = quiet_interval(HEARTBEAT);
        let mut rechecks = quiet_interval(RECHECK);
        let mut cut_off = pin!(cut_off(self.stopping.clone()));
        loop {
            tokio::select! {
                () = &mut cut_off => {
                    followers.shutdown().await;
                    return self.close(&out).await;
                }
                () = out.closed() => return,
                finished = followers.join_next_with_id() => {
                    // A follower that was stopped because access was lost has been told of.
                    let Some(Ok((id, stop))) = finished else { continue };
                    let Some((stream, _)) = names.remove(&id) else { continue };
                    if !tell_of(&out, stream, stop).await {
                        return;
                    }
                    if names.is_empty() {
                        return self.close(&out).await;
                    }
                }
                _ = heartbeats.tick() => {
                    let beat = WatchResponse { kind: Some(Kind::Heartbeat(heartbeat(self.clock.now()))) };
                    // A reader that is behind knows that the connection lives.
                    let _ = out.try_send(beat);
                }
                _ = rechecks.tick() => {
                    for id in lost(&names, &may_read).await {
                        let Some((stream, task)) = names.remove(&id) else { continue };
                        task.abort();
                        end(&out, stream, EndReason::AccessLost).await;
                    }
                    if names.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// Ends a watch that has no streams left; one of a stopping server with a word for the whole.
    async fn close(&self, out: &mpsc::Sender<WatchResponse>) {
        if self.stopping.is_cancelled() {
            end(out, String::new(), EndReason::ServerStopping).await;
        }
    }
}

async fn lost<Check, Answer>(
    names: &HashMap<Id, (String, AbortHandle)>,
    may_read: &Check,
) -> Vec<Id>
where
    Check: Fn(String) -> Answer,
    Answer: Future<Output = bool>,
{
    let mut lost = Vec::new();
    for (id, (stream, _)) in names {
        if !may_read(stream.clone()).await {
            lost.push(*id);
        }
    }
    lost
}

/// When a stopping server waits no longer for followers to send what is stored.
async fn cut_off(stopping: CancellationToken) {
    stopping.cancelled().await;
    sleep(LAST_WORDS).await;
}

/// Whether the watch goes on.
async fn tell_of(out: &mpsc::Sender<WatchResponse>, stream: String, stop: Stop) -> bool {
    match stop {
        // Every stream ends for this reason; the last one ends the whole call.
        Stop::End(EndReason::ServerStopping) => true,
        Stop::End(reason) => {
            end(out, stream, reason).await;
            true
        }
        Stop::Unread => false,
        Stop::Failed(error) => {
            error.log();
            end(out, String::new(), EndReason::ServerStopping).await;
            false
        }
    }
}

async fn end(out: &mpsc::Sender<WatchResponse>, stream: String, reason: EndReason) {
    let end = End {
        stream,
        reason: reason.into(),
    };
    // An error means that the reader is gone.
    let _ = out
        .send(WatchResponse {
            kind: Some(Kind::End(end)),
        })
        .await;
}

fn quiet_interval(period: Duration) -> tokio::time::Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    interval
}

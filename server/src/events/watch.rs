//! A watch: several streams and directories followed at once into one response, with heartbeats, a re-check of the
//! caller's right to read, and a typed end.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use membrane_files::TreePath;
use membrane_proto::v1::{End, EndReason, WatchResponse, WatchedDirectory, watch_response::Kind};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, Id, JoinSet},
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    directory::DirectoryFollower,
    follow::{Follower, Stop},
    log::EventLog,
};
use crate::{
    clock::Clock,
    db::Database,
    error::Error,
    files::{Files, Notices},
    id::{UserId, WorkspaceId},
    time::heartbeat,
};

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
/// Directories that all watches of one user may follow.
const MAX_DIRECTORIES: usize = 512;

/// Something that a watch follows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Watched {
    /// A stream of events.
    Stream(String),
    /// A directory.
    Directory(WorkspaceId, TreePath),
}

/// What a watch is to follow.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Streams, each from the sequence after its cursor.
    pub streams: Vec<(String, i64)>,
    /// Directories.
    pub directories: Vec<(WorkspaceId, TreePath)>,
}

/// Counts each user's open watches. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Watchers {
    open: Arc<Mutex<HashMap<UserId, Open>>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Open {
    watches: usize,
    directories: usize,
}

/// One user's place among the open watches; given back when dropped.
#[derive(Debug)]
struct Place {
    watchers: Watchers,
    user: UserId,
    directories: usize,
}

impl Watchers {
    fn enter(&self, user: UserId, directories: usize) -> Result<Place, Error> {
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = all.get(&user).copied().unwrap_or_default();
        if open.watches >= MAX_WATCHES {
            return Err(too_many(format!(
                "at most {MAX_WATCHES} watches can be open at once; one watch takes several streams"
            )));
        }
        if open.directories + directories > MAX_DIRECTORIES {
            return Err(too_many(format!(
                "at most {MAX_DIRECTORIES} directories can be watched at once"
            )));
        }
        let more = Open {
            watches: open.watches + 1,
            directories: open.directories + directories,
        };
        all.insert(user, more);
        Ok(Place {
            watchers: self.clone(),
            user,
            directories,
        })
    }
}

fn too_many(message: String) -> Error {
    Error::Exhausted {
        reason: "TOO_MANY_WATCHES",
        message,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let open = &self.watchers.open;
        let mut all = open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = all.get_mut(&self.user) else {
            return;
        };
        open.watches -= 1;
        open.directories -= self.directories;
        if open.watches == 0 {
            all.remove(&self.user);
        }
    }
}

/// What a watch needs beside what it follows.
#[derive(Debug, Clone)]
pub struct Watcher {
    /// What is stored.
    pub database: Database,
    /// What is live.
    pub log: EventLog,
    /// Where directories are.
    pub files: Files,
    /// What tells that they change.
    pub notices: Notices,
    /// The time for heartbeats.
    pub clock: Clock,
    /// Who else watches.
    pub watchers: Watchers,
    /// Ends every watch when the server stops.
    pub stopping: CancellationToken,
}

impl Watcher {
    /// Begins to follow what is wanted. `may_read` is asked again and again whether the caller may
    /// still read it.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when the user has too many watches open.
    pub fn watch<Check, Answer>(
        self,
        user: UserId,
        wanted: Wanted,
        may_read: Check,
    ) -> Result<mpsc::Receiver<WatchResponse>, Error>
    where
        Check: Fn(Watched) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = bool> + Send,
    {
        let place = self.watchers.enter(user, wanted.directories.len())?;
        let (out, responses) = mpsc::channel(BUFFER);
        tokio::spawn(async move {
            let _place = place;
            self.run(wanted, out, may_read).await;
        });
        Ok(responses)
    }

    /// Starts a follower of everything that is wanted.
    fn start(&self, wanted: Wanted, out: &mpsc::Sender<WatchResponse>) -> Followers {
        let mut followers = Followers::default();
        for (stream, sent) in wanted.streams {
            let follower = Follower {
                stream: stream.clone(),
                sent,
                database: self.database.clone(),
                hub: self.log.hub.clone(),
                out: out.clone(),
            };
            followers.add(Watched::Stream(stream), follower.run());
        }
        for (workspace, path) in wanted.directories {
            let follower = DirectoryFollower {
                workspace,
                path: path.clone(),
                files: self.files.clone(),
                notices: self.notices.clone(),
                stopping: self.stopping.clone(),
                out: out.clone(),
            };
            followers.add(Watched::Directory(workspace, path), follower.run());
        }
        followers
    }

    async fn run<Check, Answer>(
        self,
        wanted: Wanted,
        out: mpsc::Sender<WatchResponse>,
        may_read: Check,
    ) where
        Check: Fn(Watched) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = bool> + Send,
    {
        let Followers {
            mut tasks,
            mut names,
        } = self.start(wanted, &out);
        let mut heartbeats = quiet_interval(HEARTBEAT);
        let mut rechecks = quiet_interval(RECHECK);
        let mut cut_off = pin!(cut_off(self.stopping.clone()));
        loop {
            tokio::select! {
                () = &mut cut_off => {
                    tasks.shutdown().await;
                    return self.close(&out).await;
                }
                () = out.closed() => return,
                finished = tasks.join_next_with_id() => {
                    // A follower that was stopped because access was lost has been told of.
                    let Some(Ok((id, stop))) = finished else { continue };
                    let Some((watched, _)) = names.remove(&id) else { continue };
                    if !tell_of(&out, watched, stop).await {
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
                        let Some((watched, task)) = names.remove(&id) else { continue };
                        task.abort();
                        end(&out, Some(watched), EndReason::AccessLost).await;
                    }
                    if names.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// Ends a watch that has nothing left to follow; one of a stopping server with a word for the whole.
    async fn close(&self, out: &mpsc::Sender<WatchResponse>) {
        if self.stopping.is_cancelled() {
            end(out, None, EndReason::ServerStopping).await;
        }
    }
}

/// What follows, and what each follows.
#[derive(Default)]
struct Followers {
    tasks: JoinSet<Stop>,
    names: HashMap<Id, (Watched, AbortHandle)>,
}

impl Followers {
    fn add(&mut self, watched: Watched, follower: impl Future<Output = Stop> + Send + 'static) {
        let task = self.tasks.spawn(follower);
        self.names.insert(task.id(), (watched, task));
    }
}

async fn lost<Check, Answer>(
    names: &HashMap<Id, (Watched, AbortHandle)>,
    may_read: &Check,
) -> Vec<Id>
where
    Check: Fn(Watched) -> Answer,
    Answer: Future<Output = bool>,
{
    let mut lost = Vec::new();
    for (id, (watched, _)) in names {
        if !may_read(watched.clone()).await {
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
async fn tell_of(out: &mpsc::Sender<WatchResponse>, watched: Watched, stop: Stop) -> bool {
    match stop {
        // Every stream ends for this reason; the last one ends the whole call.
        Stop::End(EndReason::ServerStopping) => true,
        Stop::End(reason) => {
            end(out, Some(watched), reason).await;
            true
        }
        Stop::Unread => false,
        Stop::Failed(error) => {
            error.log();
            end(out, None, EndReason::ServerStopping).await;
            false
        }
    }
}

/// Says that there will be no more of something, or of everything.
async fn end(out: &mpsc::Sender<WatchResponse>, watched: Option<Watched>, reason: EndReason) {
    let mut end = End {
        reason: reason.into(),
        ..End::default()
    };
    match watched {
        None => {}
        Some(Watched::Stream(stream)) => end.stream = stream,
        Some(Watched::Directory(workspace, path)) => {
            end.directory = Some(WatchedDirectory {
                workspace_id: workspace.to_string(),
                path: path.to_string(),
            });
        }
    }
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

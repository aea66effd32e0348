//! The other servers of a database. Each says again and again that it lives; one that does not any
//! more is taken over: what its turns left unfinished is ended, and the workspaces that it held are
//! free. Clocks of machines are never compared.
//!
//! They also tell each other what is new, so that whoever watches at one sees what happens at another.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use membrane_entity::server;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    alone,
    changes::Changes,
    clock::Clock,
    db::{Database, DbError, Heard, Signal},
    error::Error,
    events::EventLog,
    id::{RunId, ServerId},
    redaction::Redactions,
    runs::Runs,
    sessions::Sessions,
    vault::Vault,
};

/// How often a server says that it lives, and looks whether others do.
const BEAT: Duration = Duration::from_secs(5);
/// After this long without a beat a server is taken for dead by the others.
const DEAD: Duration = Duration::from_secs(20);
/// After this long without a beat that was stored a server takes itself for dead. Sooner than others
/// do, so that its turns have stopped when they go on.
const ALONE: Duration = Duration::from_secs(12);
/// How long a server that was taken for dead waits for its turns to stop before it comes back.
const WINDING_DOWN: Duration = Duration::from_secs(10);
/// Pause before telling or listening is tried again; while nothing can be heard, everything is looked
/// at this often.
const AGAIN: Duration = Duration::from_secs(2);
/// After so much silence nobody knows whether there is still a connection.
const SILENCE: Duration = Duration::from_secs(30);

/// One of several servers.
#[derive(Debug, Clone)]
pub struct Peers {
    /// Which.
    pub id: ServerId,
    /// What they share.
    pub database: Database,
    /// What is told, and who listens here.
    pub log: EventLog,
    /// The time.
    pub clock: Clock,
    /// The master keys that this server has.
    pub vault: Vault,
    /// Turns of this server.
    pub sessions: Sessions,
    /// What turns of others left to be recorded.
    pub changes: Changes,
    /// Who waits for runs here.
    pub runs: Runs,
    /// What masks what is said here.
    pub redactions: Redactions,
    /// The servers that are being taken over.
    pub taking: Taking,
}

/// Servers that are being taken over. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Taking(Arc<Mutex<HashSet<Uuid>>>);

/// When which beat of a server was seen first.
type Seen = HashMap<Uuid, (i64, Instant)>;

impl Peers {
    /// Ends what this server left when it was here before, and what servers left that are gone.
    ///
    /// # Errors
    /// The database's own.
    pub async fn recover(&self) -> Result<usize, Error> {
        self.database.retire_server(self.id).await?;
        let ended = self.finish_orphans().await?;
        self.register().await?;
        Ok(ended)
    }

    /// Lives with the others until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        if !self.database.is_shared() {
            return;
        }
        let (alive, lives) = watch::channel(Instant::now());
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_beating(&alive) => {}
            () = self.stop_when_alone(lives) => {}
            () = self.keep_telling() => {}
            () = self.keep_listening() => {}
        }
    }

    /// Says farewell: nobody need wait until this server is taken for dead. If it has left a turn
    /// that did not end, that is another one's to find.
    ///
    /// # Errors
    /// The database's own.
    pub async fn leave(&self) -> Result<(), Error> {
        if self.database.is_shared() {
            // What was to be told when the telling ended.
            self.database.signal_everything(self.id).await?;
        }
        if self.database.turns_of(self.id).await?.is_empty() {
            return Ok(self.database.remove_server(self.id).await?);
        }
        Ok(self.database.retire_server(self.id).await?)
    }

    async fn register(&self) -> Result<(), Error> {
        let versions = alone::words(&self.vault.versions());
        let now = self.clock.now();
        let registered = self.database.register_server(self.id, versions, now);
        Ok(registered.await?)
    }

    async fn keep_beating(&self, alive: &watch::Sender<Instant>) {
        let mut seen = Seen::new();
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let sent = Instant::now();
            match in_time(self.database.beat(self.id)).await {
                Some(true) => {
                    alive.send_replace(sent);
                    self.sessions.resume();
                }
                Some(false) => {
                    self.come_back().await;
                    alive.send_replace(Instant::now());
                }
                None => {}
            }
            if let Some(rows) = in_time(self.database.servers()).await {
                self.look_around(rows, &mut seen);
            }
            if let Ok(Err(error)) = timeout(BEAT, self.sessions.end_strays()).await {
                error.log();
            }
        }
    }

    /// Stops turns when the others may soon take this server for dead, whatever it waits for.
    async fn stop_when_alone(&self, mut lives: watch::Receiver<Instant>) {
        loop {
            let until = *lives.borrow_and_update() + ALONE;
            tokio::select! {
                changed = lives.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sleep_until(until) => {
                    tracing::warn!("the database is out of reach: turns of this server are stopped");
                    self.sessions.suspend();
                    sleep(BEAT).await;
                }
            }
        }
    }

    /// The others took this server for dead: it was held up for long. What it was doing has been
    /// ended by another one.
    async fn come_back(&self) {
        tracing::warn!("this server was taken for dead by another one: its turns are stopped");
        self.sessions.suspend();
        // What it held goes when it is registered anew, and nobody may meet its turns there.
        if timeout(WINDING_DOWN, self.sessions.all_ended())
            .await
            .is_err()
        {
            tracing::warn!("some turns have not stopped yet");
        }
        if let Err(error) = self.register().await {
            error.log();
        }
    }

    fn look_around(&self, rows: Vec<server::Model>, seen: &mut Seen) {
        let others: Vec<_> = rows.into_iter().filter(|row| row.id != self.id.0).collect();
        seen.retain(|id, _| others.iter().any(|row| row.id == *id));
        for row in others {
            let (beat, since) = *seen.entry(row.id).or_insert((row.beat, Instant::now()));
            if beat != row.beat {
                seen.insert(row.id, (row.beat, Instant::now()));
            } else if since.elapsed() >= DEAD && self.taking.insert(row.id) {
                let peers = self.clone();
                // It may take longer than the pause between two beats.
                tokio::spawn(async move {
                    if let Err(error) = peers.take_over(&row).await {
                        error.log();
                    }
                    peers.taking.remove(row.id);
                });
            }
        }
    }

    async fn take_over(&self, dead: &server::Model) -> Result<(), Error> {
        let (mark, ..) = Uuid::new_v4().as_fields();
        if !self.database.take_over(dead, mark).await? {
            return Ok(());
        }
        let ended = self.finish_orphans().await?;
        self.database.remove_taken(ServerId(dead.id), mark).await?;
        tracing::warn!(server.id = %dead.id, turns.ended = ended, "another server was not heard of any more; what it left was ended");
        Ok(())
    }

    async fn finish_orphans(&self) -> Result<usize, Error> {
        self.changes.recover().await?;
        self.sessions.recover().await
    }

    async fn keep_telling(&self) {
        let signals = self.log.hub.signals();
        loop {
            let signal = signals.take().await;
            let told = self.database.signal(self.id, signal.clone());
            if in_time(told).await.is_none() {
                signals.put_back(signal);
                sleep(AGAIN).await;
            }
        }
    }

    async fn keep_listening(&self) {
        loop {
            if let Err(error) = self.listen().await {
                Error::from(error).log();
                sleep(AGAIN).await;
            }
        }
    }

    /// Listens until there is an error, or a silence that may be the connection's.
    async fn listen(&self) -> Result<(), DbError> {
        let listening = timeout(BEAT, self.database.listen(self.id)).await;
        // Also where there is none: somebody may wait for what is there to be read.
        self.heed(Heard::Everything).await;
        let Ok(listener) = listening else {
            return Ok(());
        };
        let mut listener = listener?;
        while let Ok(heard) = timeout(SILENCE, listener.next()).await {
            self.heed(heard?).await;
        }
        Ok(())
    }

    async fn heed(&self, heard: Heard) {
        match heard {
            Heard::Everything => {
                self.log.hub.wake_all();
                self.runs.ring();
                self.heed_secrets().await;
                self.sessions.heed_answers(None).await;
                self.heed_interrupts().await;
            }
            Heard::Signal(signal) => self.heed_signal(signal).await,
        }
    }

    async fn heed_signal(&self, signal: Signal) {
        if signal.queued {
            self.runs.ring();
        }
        if signal.interrupts {
            self.heed_interrupts().await;
        }
        if signal.secrets {
            self.heed_secrets().await;
        }
        for stream in &signal.streams {
            self.log.hub.wake(stream);
            if let Some(run) = RunId::from_stream(stream) {
                self.runs.heed_change(run).await;
            }
        }
        self.sessions.heed_answers(Some(&signal.streams)).await;
    }

    async fn heed_secrets(&self) {
        if let Err(error) = self.redactions.read_again().await {
            error.log();
        }
    }

    async fn heed_interrupts(&self) {
        match self.database.interrupted_sessions(self.id).await {
            Ok(sessions) => self.sessions.cancel(&sessions),
            Err(error) => Error::from(error).log(),
        }
    }
}

impl Taking {
    /// Whether nobody is at it yet.
    fn insert(&self, id: Uuid) -> bool {
        self.lock().insert(id)
    }

    fn remove(&self, id: Uuid) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        // Every change is a single call, so a panic elsewhere leaves the set whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the database answers, unless it takes too long or fails, which is logged.
async fn in_time<T>(asked: impl Future<Output = Result<T, DbError>>) -> Option<T> {
    match timeout(BEAT, asked).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            Error::from(error).log();
            None
        }
        Err(_) => {
            tracing::warn!("the database does not answer");
            None
        }
    }
}

//! The other servers of a database. Each says again and again that it lives; one that does not any
//! more is taken over: what its turns left unfinished is ended, and the workspaces that it held are
//! free. Clocks of machines are never compared.
//!
//! They also tell each other what is new, so that whoever watches at one sees what happens at another.

use std::{collections::HashMap, time::Duration};

use membrane_entity::server;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    changes::Changes,
    clock::Clock,
    db::{Database, Heard, Signal},
    error::Error,
    events::EventLog,
    id::{RunId, ServerId},
    runs::Runs,
    sessions::Sessions,
};

/// How often a server says that it lives, and looks whether others do.
const BEAT: Duration = Duration::from_secs(5);
/// After this long without a beat a server is taken for dead by the others.
const DEAD: Duration = Duration::from_secs(20);
/// After this long without a beat that was stored a server takes itself for dead. Sooner than others
/// do, so that its turns have stopped when they go on.
const ALONE: Duration = Duration::from_secs(12);
/// Pause before listening is tried again; meanwhile everything is looked at this often.
const DEAF: Duration = Duration::from_secs(2);

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
    /// Versions of the master key that this server has.
    pub master_versions: Vec<i32>,
    /// Turns of this server.
    pub sessions: Sessions,
    /// What turns of others left to be recorded.
    pub changes: Changes,
    /// Who waits for runs here.
    pub runs: Runs,
}

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
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_beating() => {}
            () = self.keep_telling() => {}
            () = self.keep_listening() => {}
        }
    }

    /// Says farewell: nobody need wait until this server is taken for dead.
    ///
    /// # Errors
    /// The database's own.
    pub async fn leave(&self) -> Result<(), Error> {
        Ok(self.database.remove_server(self.id).await?)
    }

    async fn register(&self) -> Result<(), Error> {
        let versions = words(&self.master_versions);
        let now = self.clock.now();
        let registered = self.database.register_server(self.id, versions, now);
        Ok(registered.await?)
    }

    async fn keep_beating(&self) {
        let mut seen = Seen::new();
        let mut alive = Instant::now();
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match timeout(BEAT, self.database.beat(self.id)).await {
                Ok(Ok(true)) => alive = Instant::now(),
                Ok(Ok(false)) => self.come_back().await,
                Ok(Err(error)) => Error::from(error).log(),
                Err(_) => tracing::warn!("the database does not answer"),
            }
            if alive.elapsed() >= ALONE {
                tracing::warn!("the database is out of reach: turns of this server are stopped");
                self.sessions.interrupt_all();
            }
            if let Ok(Err(error)) = timeout(BEAT, self.look_around(&mut seen)).await {
                error.log();
            }
        }
    }

    /// The others took this server for dead: it was held up for long. What it was doing has been
    /// ended by another one.
    async fn come_back(&self) {
        tracing::warn!("this server was taken for dead by another one: its turns are stopped");
        self.sessions.interrupt_all();
        if let Err(error) = self.register().await {
            error.log();
        }
    }

    async fn look_around(&self, seen: &mut Seen) -> Result<(), Error> {
        let rows = self.database.servers().await?;
        let others: Vec<_> = rows.into_iter().filter(|row| row.id != self.id.0).collect();
        seen.retain(|id, _| others.iter().any(|row| row.id == *id));
        for row in others {
            let (beat, since) = *seen.entry(row.id).or_insert((row.beat, Instant::now()));
            if beat != row.beat {
                seen.insert(row.id, (row.beat, Instant::now()));
            } else if since.elapsed() >= DEAD {
                self.take_over(&row).await?;
            }
        }
        Ok(())
    }

    async fn take_over(&self, dead: &server::Model) -> Result<(), Error> {
        let (mark, ..) = Uuid::new_v4().as_fields();
        if !self.database.take_over(dead, mark).await? {
            return Ok(());
        }
        let ended = self.finish_orphans().await?;
        self.database.remove_server(ServerId(dead.id)).await?;
        tracing::warn!(server.id = %dead.id, turns.ended = ended, "another server was not heard of any more; what it left was ended");
        Ok(())
    }

    async fn finish_orphans(&self) -> Result<usize, Error> {
        self.changes.recover().await?;
        self.sessions.recover().await
    }

    async fn keep_telling(&self) {
        loop {
            let signal = self.log.hub.signals().take().await;
            if let Err(error) = self.database.signal(self.id, signal).await {
                // Whoever has missed it has lost the connection, too, and looks at everything.
                Error::from(error).log();
            }
        }
    }

    async fn keep_listening(&self) {
        loop {
            if let Err(error) = self.listen().await {
                Error::from(error).log();
            }
            self.heed(Heard::Everything).await;
            sleep(DEAF).await;
        }
    }

    async fn listen(&self) -> Result<(), crate::db::DbError> {
        let mut listener = self.database.listen(self.id).await?;
        self.heed(Heard::Everything).await;
        loop {
            let heard = listener.next().await?;
            self.heed(heard).await;
        }
    }

    async fn heed(&self, heard: Heard) {
        match heard {
            Heard::Everything => {
                self.log.hub.wake_all();
                self.runs.ring();
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
        for stream in &signal.streams {
            self.log.hub.wake(stream);
            if let Some(run) = RunId::from_stream(stream) {
                self.runs.heed_change(run).await;
            }
        }
        self.sessions.heed_answers(Some(&signal.streams)).await;
    }

    async fn heed_interrupts(&self) {
        match self.database.interrupted_sessions(self.id).await {
            Ok(sessions) => self.sessions.cancel(&sessions),
            Err(error) => Error::from(error).log(),
        }
    }
}

/// Versions of the master key as they are stored.
#[must_use]
pub fn words(versions: &[i32]) -> String {
    let words: Vec<String> = versions.iter().map(ToString::to_string).collect();
    words.join(" ")
}

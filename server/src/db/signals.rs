//! What servers that share a database tell each other: that something is there to be read. A signal
//! may be lost; whoever hears of a loss looks at everything.

use sea_orm::{
    ConnectionTrait as _, DbBackend, DbErr, RuntimeErr, Statement,
    sqlx::{self, postgres::PgListener},
};
use serde::{Deserialize, Serialize};

use super::Database;
use crate::id::ServerId;

/// The one channel.
const CHANNEL: &str = "membrane";
/// PostgreSQL takes less than 8,000 bytes.
const LARGEST: usize = 7_900;

/// What is new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Streams that have new events.
    pub streams: Vec<String>,
    /// Whether there may be a run to claim.
    pub queued: bool,
    /// Whether turns of another server are to be stopped.
    pub interrupts: bool,
    /// Whether secrets or keys were stored that are to be masked.
    #[serde(default)]
    pub secrets: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Message {
    from: uuid::Uuid,
    /// All there is, since naming it would be too long.
    #[serde(default)]
    everything: bool,
    #[serde(flatten)]
    signal: Signal,
}

/// What was heard.
#[derive(Debug)]
pub enum Heard {
    /// Something of another server.
    Signal(Signal),
    /// Something may have been missed.
    Everything,
}

/// An ear.
#[derive(Debug)]
pub struct Listener {
    inner: PgListener,
    own: ServerId,
}

impl Listener {
    /// Waits for the next signal of another server.
    ///
    /// # Errors
    /// When the connection was lost and there is no new one.
    pub async fn next(&mut self) -> Result<Heard, DbErr> {
        loop {
            let Some(heard) = self.inner.try_recv().await.map_err(failed)? else {
                return Ok(Heard::Everything);
            };
            match serde_json::from_str::<Message>(heard.payload()) {
                Ok(message) if message.from == self.own.0 => {}
                Ok(message) if message.everything => return Ok(Heard::Everything),
                Ok(message) => return Ok(Heard::Signal(message.signal)),
                // Of a server of another version, perhaps.
                Err(_) => return Ok(Heard::Everything),
            }
        }
    }
}

impl Database {
    /// Tells the other servers.
    ///
    /// # Errors
    /// The database's own.
    pub async fn signal(&self, from: ServerId, signal: Signal) -> Result<(), DbErr> {
        let message = Message {
            from: from.0,
            everything: false,
            signal,
        };
        let payload = encode(&message)?;
        if payload.len() > LARGEST {
            return self.signal_everything(from).await;
        }
        self.notify(payload).await
    }

    /// Tells the other servers to look at everything.
    ///
    /// # Errors
    /// The database's own.
    pub async fn signal_everything(&self, from: ServerId) -> Result<(), DbErr> {
        let message = Message {
            from: from.0,
            everything: true,
            signal: Signal::default(),
        };
        self.notify(encode(&message)?).await
    }

    async fn notify(&self, payload: String) -> Result<(), DbErr> {
        let notify = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_notify($1, $2)",
            [CHANNEL.into(), payload.into()],
        );
        // A connection may have been left in a transaction by somebody who went away while it began;
        // alone, this would be sent whenever that ends.
        let transaction = self.begin().await?;
        transaction.query_one_raw(notify).await?;
        transaction.commit().await
    }

    /// Begins to listen to the other servers.
    ///
    /// # Errors
    /// The database's own.
    pub async fn listen(&self, own: ServerId) -> Result<Listener, DbErr> {
        let pool = self.reader.get_postgres_connection_pool();
        let mut inner = PgListener::connect_with(pool).await.map_err(failed)?;
        inner.listen(CHANNEL).await.map_err(failed)?;
        Ok(Listener { inner, own })
    }
}

fn encode(message: &Message) -> Result<String, DbErr> {
    serde_json::to_string(message).map_err(|error| DbErr::Custom(error.to_string()))
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

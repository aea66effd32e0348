//! Storage: one [`Database`], its `impl` split by topic. SQLite in WAL mode with one writing
//! connection, on which every transaction begins IMMEDIATE, so that no writer ever meets BUSY, and
//! a pool of readers beside it. The only place that knows `sea_orm`.

use std::{path::Path, time::Duration};

use membrane_migration::{Migrator, MigratorTrait as _};
use sea_orm::{
    ColumnTrait, Condition, ConnectOptions, ConnectionTrait as _, DatabaseConnection,
    DatabaseTransaction, DbErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait as _,
};
use thiserror::Error;

use crate::page::Keyset;

mod accounts;
mod activities;
mod audit;
mod change_sets;
mod events;
mod keys;
mod members;
mod permissions;
mod requests;
mod runner_tokens;
mod runs;
mod schedules;
mod sessions;
mod snapshots;
#[cfg(test)]
mod tests;
mod turns;
mod user_secrets;
mod vault;
mod workspaces;

pub use sea_orm::DbErr as DbError;

pub use activities::{Activity, ActivityFilter};
pub use events::NewEvent;
pub use keys::SealedKey;
pub use requests::RequestKey;
pub use runs::{Changed, Claimant, Ending, HeldLease};
pub use schedules::Firing;
pub use sessions::SessionSummary;
pub use turns::Stored;
pub use user_secrets::SecretLimits;
pub use vault::RotationStart;
pub use workspaces::WorkspaceSummary;

/// Readers beside the one writer.
const READERS: u32 = 8;

/// How often a connection is tried again while another process switches the database to WAL, and
/// the pause before it.
const SWITCHES: u32 = 50;
const SWITCH_PAUSE: Duration = Duration::from_millis(50);

/// Why the database can't be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The database itself failed.
    #[error("cannot open the database")]
    Database(#[from] DbErr),
    /// A newer version of Membrane has migrated it.
    #[error(
        "the database was migrated by a newer version of Membrane (migration {0:?} is unknown here); install that version or restore a backup"
    )]
    Newer(String),
    /// Only SQLite is supported.
    #[error("DATABASE_URL must begin with sqlite: (this version supports no other database)")]
    Unsupported,
}

/// All stored state. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
}

impl Database {
    /// Opens the database at `url`, creates it if absent, and migrates it.
    ///
    /// # Errors
    /// [`OpenError`] when it can't be opened, or was migrated by a newer version.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        if !url.starts_with("sqlite:") {
            return Err(OpenError::Unsupported);
        }
        let writer = connect(url, 1).await?;
        migrate(&writer).await?;
        let reader = connect(url, READERS).await?;
        Ok(Self { writer, reader })
    }

    /// The URL of an embedded database file.
    #[must_use]
    pub fn url_of(path: &Path) -> String {
        format!("sqlite://{}?mode=rwc", path.display())
    }

    /// Begins the only writing transaction; waits for its turn. Dropping it rolls back.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        self.writer
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            })
            .await
    }

    /// Whether the database answers, for health checks.
    ///
    /// # Errors
    /// The database's own.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.reader.ping().await
    }

    /// Whether the database finds itself whole.
    ///
    /// # Errors
    /// The database's own.
    pub async fn is_sound(&self) -> Result<bool, DbErr> {
        let check =
            Statement::from_string(self.reader.get_database_backend(), "PRAGMA integrity_check");
        let rows = self.reader.query_all_raw(check).await?;
        let words: Vec<String> = rows
            .iter()
            .map(|row| row.try_get_by_index(0))
            .collect::<Result<_, _>>()?;
        Ok(words == ["ok"])
    }

    /// Closes all connections; SQLite folds its log into the file.
    ///
    /// # Errors
    /// The database's own.
    pub async fn close(self) -> Result<(), DbErr> {
        self.reader.close().await?;
        self.writer.close().await
    }
}

/// Rows after a place in an order by falling time and id.
fn older_than<C: ColumnTrait>(time: C, id: C, place: Keyset) -> Condition {
    let same_time = Condition::all()
        .add(time.eq(place.time))
        .add(id.lt(place.id));
    Condition::any().add(time.lt(place.time)).add(same_time)
}

/// Rows after a place in an order by rising time and id.
fn newer_than<C: ColumnTrait>(time: C, id: C, place: Keyset) -> Condition {
    let same_time = Condition::all()
        .add(time.eq(place.time))
        .add(id.gt(place.id));
    Condition::any().add(time.gt(place.time)).add(same_time)
}

/// Connects. Two processes that open a new database at the same moment both switch it to WAL, and
/// SQLite tells one of them that it is locked, without waiting: that one tries again.
async fn connect(url: &str, connections: u32) -> Result<DatabaseConnection, DbErr> {
    for _ in 0..SWITCHES {
        match connect_once(url, connections).await {
            Err(error) if error.to_string().contains("database is locked") => {
                tokio::time::sleep(SWITCH_PAUSE).await;
            }
            done => return done,
        }
    }
    connect_once(url, connections).await
}

async fn connect_once(url: &str, connections: u32) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(30))
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|options| {
            options
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "FULL")
                .pragma("foreign_keys", "ON")
                .pragma("temp_store", "MEMORY")
                .busy_timeout(Duration::from_secs(10))
        });
    sea_orm::Database::connect(options).await
}

/// Applies what is missing. The writer's single connection is no lock against a second process,
/// so the whole of it runs under the database's own exclusive one.
async fn migrate(writer: &DatabaseConnection) -> Result<(), OpenError> {
    let transaction = writer
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Exclusive),
            ..TransactionOptions::default()
        })
        .await?;
    refuse_newer(&transaction).await?;
    Migrator::up(&transaction, None).await?;
    transaction.commit().await?;
    Ok(())
}

async fn refuse_newer(transaction: &DatabaseTransaction) -> Result<(), OpenError> {
    let known: Vec<String> = Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    let newer = Migrator::get_migration_models(transaction)
        .await?
        .into_iter()
        .find(|applied| !known.contains(&applied.version));
    match newer {
        Some(applied) => Err(OpenError::Newer(applied.version)),
        None => Ok(()),
    }
}

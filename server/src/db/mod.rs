//! Storage: one [`Database`], its `impl` split by topic, on SQLite or PostgreSQL. The only place that
//! knows `sea_orm`.
//!
//! Both see the same transactions. On SQLite one writes at a time, and nothing more is to be said. On
//! PostgreSQL many do, so each transaction first locks what it depends on: the row that it changes
//! ([`locked`]), or a name where there is no row ([`serialise`]). Of several, always in this order:
//! request id, workspace or schedule, session or run, stream.

use std::path::Path;

use membrane_migration::{Migrator, MigratorTrait as _};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, EntityTrait, QuerySelect as _, Select, sea_query::LockType,
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
mod postgres;
mod requests;
mod runner_tokens;
mod runs;
mod schedules;
mod servers;
mod sessions;
mod signals;
mod snapshots;
mod sqlite;
#[cfg(test)]
mod tests;
mod turns;
mod user_secrets;
mod vault;
mod workspaces;

pub use sea_orm::DbErr as DbError;

pub use postgres::is_passing;

pub use activities::{Activity, ActivityFilter};
pub use events::{AppendError, NewEvent};
pub use keys::SealedKey;
pub use requests::RequestKey;
pub use runs::{Changed, Claimant, Ending, HeldLease};
pub use schedules::Firing;
pub use sessions::SessionSummary;
pub use signals::{Heard, Listener, Signal};
pub use turns::{NewTurn, Stored};
pub use user_secrets::SecretLimits;
pub use vault::RotationStart;
pub use workspaces::{StoredSettings, WorkspaceSummary};

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
    /// The URL names neither SQLite nor PostgreSQL.
    #[error("DATABASE_URL must begin with sqlite: or postgres:")]
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
        let (writer, reader) = match Kind::of(url)? {
            Kind::Sqlite => {
                let writer = sqlite::writer(url).await?;
                migrate(sqlite::begin_migrating(&writer).await?).await?;
                (writer, sqlite::readers(url).await?)
            }
            Kind::Postgres => {
                let writers = postgres::writers(url).await?;
                migrate(postgres::begin_migrating(&writers).await?).await?;
                (writers, postgres::readers(url).await?)
            }
        };
        Ok(Self { writer, reader })
    }

    /// The URL of an embedded database file.
    #[must_use]
    pub fn url_of(path: &Path) -> String {
        format!("sqlite://{}?mode=rwc", path.display())
    }

    /// Whether other servers may use the same database.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        is_postgres(&self.writer)
    }

    /// Begins a writing transaction; waits for its turn. Dropping it rolls back.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        if self.is_shared() {
            postgres::begin_writing(&self.writer).await
        } else {
            sqlite::begin_writing(&self.writer).await
        }
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
        if self.is_shared() {
            // What it checks of itself it checks as it reads.
            return self.ping().await.map(|()| true);
        }
        sqlite::is_sound(&self.reader).await
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

/// Which database a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    fn of(url: &str) -> Result<Self, OpenError> {
        match url.split_once(':') {
            Some(("sqlite", _)) => Ok(Self::Sqlite),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres),
            _ => Err(OpenError::Unsupported),
        }
    }
}

fn is_postgres(connection: &impl ConnectionTrait) -> bool {
    connection.get_database_backend() == DbBackend::Postgres
}

/// Rows that a transaction is about to change, or to depend on: others who want them wait for its
/// end.
fn locked<E: EntityTrait>(query: Select<E>) -> Select<E> {
    // Weaker than FOR UPDATE: whoever only refers to such a row need not wait.
    query.lock(LockType::NoKeyUpdate)
}

/// Makes the rest of a transaction wait for the end of all others that have named the same thing.
async fn serialise(transaction: &DatabaseTransaction, name: &str) -> Result<(), DbErr> {
    if is_postgres(transaction) {
        postgres::serialise(transaction, name).await?;
    }
    Ok(())
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

/// Applies what is missing, in a transaction beside which nobody else migrates.
async fn migrate(transaction: DatabaseTransaction) -> Result<(), OpenError> {
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

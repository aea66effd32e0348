//! PostgreSQL: READ COMMITTED, and whoever changes a row locks it first. What has no row to lock is
//! locked by its name ([`serialise`]).
//!
//! Writers and readers have pools of their own, so that a writer who needs to read beside its
//! transaction never waits for other writers.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    RuntimeErr, Statement, TransactionTrait as _,
};

/// Transactions that write at a time.
const WRITERS: u32 = 10;
/// Queries that only read at a time, and one connection that listens.
const READERS: u32 = 8 + 1;
/// How long a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing of ours takes longer; what does is stuck.
const STATEMENT: Duration = Duration::from_secs(60);
/// Beginnings of the SQLSTATEs of what passes: no connection, a deadlock or the like, too many
/// connections, a server that stops or starts, one that is only for reading for now.
const PASSING: [&str; 7] = ["08", "40", "53300", "55P03", "57P", "57014", "25006"];
/// A connection that was used this lately is taken for alive.
const FRESH: Duration = Duration::from_secs(1);

/// The connections that write.
pub async fn writers(url: &str) -> Result<DatabaseConnection, DbErr> {
    connect(url, WRITERS).await
}

/// Those that read.
pub async fn readers(url: &str) -> Result<DatabaseConnection, DbErr> {
    connect(url, READERS).await
}

/// A transaction in which nobody else migrates.
pub async fn begin_migrating(writers: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let transaction = begin_writing(writers).await?;
    serialise(&transaction, "migrations").await?;
    Ok(transaction)
}

/// A transaction that writes.
pub async fn begin_writing(writers: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    writers.begin().await
}

/// Makes the rest of a transaction wait for the end of all others that have named the same thing.
pub async fn serialise(connection: &impl ConnectionTrait, name: &str) -> Result<(), DbErr> {
    let lock = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
        [name.into()],
    );
    connection.query_one_raw(lock).await.map(drop)
}

/// Whether an error says that the database can't be reached or used just now, or that it has chosen
/// one of two transactions that stood in each other's way: the same may well succeed a moment later.
/// What a commit that ended so has stored is not known.
#[must_use]
pub fn is_passing(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(error) | DbErr::Exec(error) | DbErr::Query(error) => is_passing_below(error),
        _ => false,
    }
}

fn is_passing_below(error: &RuntimeErr) -> bool {
    let RuntimeErr::SqlxError(error) = error else {
        return false;
    };
    match &**error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            // SQLite's codes are shorter.
            code.len() == 5 && PASSING.iter().any(|start| code.starts_with(start))
        }
        _ => false,
    }
}

async fn connect(url: &str, connections: u32) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .statement_timeout(STATEMENT)
        .test_before_acquire_if_idle_for(FRESH)
        .set_application_name("membrane")
        .map_sqlx_postgres_opts(|options| {
            options.options([("default_transaction_isolation", "read committed")])
        })
        .sqlx_logging(false);
    sea_orm::Database::connect(options).await
}

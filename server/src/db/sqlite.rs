//! SQLite: WAL mode, one writing connection, on which every transaction begins IMMEDIATE, so that no
//! writer ever meets BUSY, and a pool of readers beside it.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _,
};

/// Readers beside the one writer.
const READERS: u32 = 8;

/// How often a connection is tried again while another process switches the database to WAL, and
/// the pause before it.
const SWITCHES: u32 = 50;
const SWITCH_PAUSE: Duration = Duration::from_millis(50);

/// The connection that writes.
pub async fn writer(url: &str) -> Result<DatabaseConnection, DbErr> {
    connect(url, 1).await
}

/// Those that read.
pub async fn readers(url: &str) -> Result<DatabaseConnection, DbErr> {
    connect(url, READERS).await
}

/// A transaction in which nobody else migrates.
pub async fn begin_migrating(writer: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    begin(writer, SqliteTransactionMode::Exclusive).await
}

/// A transaction that writes.
pub async fn begin_writing(writer: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    begin(writer, SqliteTransactionMode::Immediate).await
}

/// Whether the database finds itself whole.
pub async fn is_sound(reader: &DatabaseConnection) -> Result<bool, DbErr> {
    let check = Statement::from_string(reader.get_database_backend(), "PRAGMA integrity_check");
    let rows = reader.query_all_raw(check).await?;
    let words: Vec<String> = rows
        .iter()
        .map(|row| row.try_get_by_index(0))
        .collect::<Result<_, _>>()?;
    Ok(words == ["ok"])
}

async fn begin(
    writer: &DatabaseConnection,
    mode: SqliteTransactionMode,
) -> Result<DatabaseTransaction, DbErr> {
    writer
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(mode),
            ..TransactionOptions::default()
        })
        .await
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

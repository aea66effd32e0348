//! SQLite with nothing around it: the limit for whoever stores in it. The same table and the same
//! pragmas as the server's.

use std::path::Path;

use rusqlite::{Connection, params};

/// The events table of the server.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS events (
    stream TEXT NOT NULL, sequence INTEGER NOT NULL, create_time INTEGER NOT NULL,
    turn_id TEXT NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (stream, sequence))";
const INSERT: &str = "INSERT INTO events VALUES (?1, ?2, 0, '', ?3)";

/// A database file.
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Opens or creates it.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute(TABLE, [])?;
        Ok(Self { connection })
    }

    /// Stores one event in a commit of its own.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn insert(&self, stream: &str, sequence: i64, text: &str) -> rusqlite::Result<()> {
        let mut insert = self.connection.prepare_cached(INSERT)?;
        insert.execute(params![stream, sequence, text.as_bytes()])?;
        Ok(())
    }

    /// Stores events of several streams in commits of `batch`.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn insert_batches(
        &mut self,
        streams: &[String],
        first: i64,
        each: i64,
        batch: usize,
        text: &str,
    ) -> rusqlite::Result<()> {
        let keys: Vec<_> = (first..first + each)
            .flat_map(|sequence| streams.iter().map(move |stream| (stream, sequence)))
            .collect();
        for keys in keys.chunks(batch) {
            let transaction = self.connection.transaction()?;
            let mut insert = transaction.prepare_cached(INSERT)?;
            for (stream, sequence) in keys {
                insert.execute(params![stream, sequence, text.as_bytes()])?;
            }
            drop(insert);
            transaction.commit()?;
        }
        Ok(())
    }

    /// How many events a stream has.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn count(&self, stream: &str) -> rusqlite::Result<i64> {
        let query = "SELECT count(*) FROM events WHERE stream = ?1";
        self.connection.query_row(query, [stream], |row| row.get(0))
    }
}

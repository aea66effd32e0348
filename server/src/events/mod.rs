//! The event log: one store for every stream, appended to in groups, and woken from memory.
//!
//! What is durable is in the database; the [`hub`] only says that something happened and carries
//! the text that is being generated. A subscriber that misses anything reads it from the database.

mod directory;
mod follow;
mod hub;
mod log;
mod watch;

pub use hub::{Hub, Live};
pub use log::{EventLog, LogGone, LogService};
pub use watch::{Wanted, Watched, Watcher, Watchers};

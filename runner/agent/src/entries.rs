//! Entries of a tree on the wire, and back.

use membrane_files::store::{Digest, Entry, Node};
use membrane_proto::v1::{
    SnapshotDirectory, SnapshotEntry, SnapshotFile, SnapshotLink, snapshot_entry,
};
use thiserror::Error;

/// An entry that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct BadEntry {
    /// What of it is wrong.
    pub field: &'static str,
    /// Why.
    pub message: String,
}

impl BadEntry {
    fn new(field: &'static str, message: impl ToString) -> Self {
        Self {
            field,
            message: message.to_string(),
        }
    }
}

/// An entry from the wire.
///
/// # Errors
/// [`BadEntry`].
pub fn decode(entry: SnapshotEntry) -> Result<Entry, BadEntry> {
    let node = match entry.node {
        Some(snapshot_entry::Node::Directory(_)) => Node::Directory,
        Some(snapshot_entry::Node::Link(link)) => Node::Symlink {
            target: link.target.into(),
        },
        Some(snapshot_entry::Node::File(file)) => Node::File {
            digest: decode_digest(&file.digest)?,
            size: decode_size("entries.file.size", file.size)?,
            executable: file.executable,
        },
        None => return Err(BadEntry::new("entries.node", "is required")),
    };
    let path = entry.path.parse();
    let path = path.map_err(|error| BadEntry::new("entries.path", error))?;
    Ok(Entry { path, node })
}

/// A digest from the wire.
///
/// # Errors
/// [`BadEntry`].
pub fn decode_digest(text: &str) -> Result<Digest, BadEntry> {
    text.parse().map_err(|error| BadEntry::new("digest", error))
}

/// A size from the wire, in bytes.
///
/// # Errors
/// [`BadEntry`].
pub fn decode_size(field: &'static str, size: i64) -> Result<u64, BadEntry> {
    u64::try_from(size).map_err(|_| BadEntry::new(field, "must not be negative"))
}

/// An entry for the wire.
#[must_use]
pub fn encode(entry: &Entry) -> SnapshotEntry {
    let node = match &entry.node {
        Node::Directory => snapshot_entry::Node::Directory(SnapshotDirectory {}),
        Node::Symlink { target } => snapshot_entry::Node::Link(SnapshotLink {
            target: target.clone().into(),
        }),
        Node::File {
            digest,
            size,
            executable,
        } => snapshot_entry::Node::File(SnapshotFile {
            digest: digest.to_string(),
            size: i64::try_from(*size).unwrap_or(i64::MAX),
            executable: *executable,
        }),
    };
    SnapshotEntry {
        path: entry.path.to_string(),
        node: Some(node),
    }
}

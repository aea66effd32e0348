//! Snapshots and their entries on the wire.

use membrane_entity::snapshot;
use membrane_files::store::{Digest, Entry, Node};
use membrane_proto::v1::{self as proto, snapshot_entry};

use crate::{error::Error, files::parse_path, snapshots::Kind, time::timestamp};

/// A digest of a request.
pub(super) fn parse_digest(text: &str) -> Result<Digest, Error> {
    let parsed = text.parse::<Digest>();
    parsed.map_err(|error| Error::invalid("digest", error.to_string()))
}

/// A size of a request, in bytes.
pub(super) fn size(field: &str, size: i64) -> Result<u64, Error> {
    u64::try_from(size).map_err(|_| Error::invalid(field, "must not be negative"))
}

/// An entry of a request.
pub(super) fn decode_entry(entry: proto::SnapshotEntry) -> Result<Entry, Error> {
    let node = match entry.node {
        Some(snapshot_entry::Node::Directory(_)) => Node::Directory,
        Some(snapshot_entry::Node::Link(link)) => Node::Symlink {
            target: link.target.into(),
        },
        Some(snapshot_entry::Node::File(file)) => Node::File {
            digest: parse_digest(&file.digest)?,
            size: size("entries.file.size", file.size)?,
            executable: file.executable,
        },
        None => return Err(Error::invalid("entries.node", "is required")),
    };
    let path = parse_path("entries.path", &entry.path)?;
    Ok(Entry { path, node })
}

/// An entry as the wire says it.
pub(super) fn encode_entry(entry: &Entry) -> proto::SnapshotEntry {
    let node = match &entry.node {
        Node::Directory => snapshot_entry::Node::Directory(proto::SnapshotDirectory {}),
        Node::Symlink { target } => snapshot_entry::Node::Link(proto::SnapshotLink {
            target: target.clone().into(),
        }),
        Node::File {
            digest,
            size,
            executable,
        } => snapshot_entry::Node::File(proto::SnapshotFile {
            digest: digest.to_string(),
            size: i64::try_from(*size).unwrap_or(i64::MAX),
            executable: *executable,
        }),
    };
    proto::SnapshotEntry {
        path: entry.path.to_string(),
        node: Some(node),
    }
}

/// A snapshot as the wire says it.
pub(super) fn encode(row: snapshot::Model) -> Result<proto::Snapshot, Error> {
    let kinds = [
        (Kind::Taken, proto::SnapshotKind::Taken),
        (Kind::BeforeRestore, proto::SnapshotKind::BeforeRestore),
        (Kind::Received, proto::SnapshotKind::Received),
        (Kind::RunBase, proto::SnapshotKind::RunBase),
        (Kind::RunResult, proto::SnapshotKind::RunResult),
    ];
    let kind = kinds.into_iter().find(|(kind, _)| kind.word() == row.kind);
    let skipped_paths = serde_json::from_str(&row.skipped)
        .map_err(|error| Error::Internal(format!("skipped paths can't be read: {error}")))?;
    Ok(proto::Snapshot {
        id: row.id.to_string(),
        title: row.title,
        kind: kind
            .map_or(proto::SnapshotKind::Unspecified, |(_, kind)| kind)
            .into(),
        user_id: row.user_id.map_or_else(String::new, |id| id.to_string()),
        pinned: row.pinned,
        create_time: Some(timestamp(row.create_time)),
        file_count: row.file_count,
        total_bytes: row.total_bytes,
        tree_digest: row.tree,
        skipped_paths,
    })
}

//! Snapshots and their entries on the wire.

use membrane_entity::snapshot;
use membrane_proto::v1 as proto;

use crate::{error::Error, snapshots::Kind, time::timestamp};

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

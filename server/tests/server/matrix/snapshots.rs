//! SnapshotService, and what its calls are about.

use bytes::Bytes;
use membrane_files::store::Digest;
use membrane_proto::v1::{
    self as proto, commit_snapshot_request::Part as CommitPart,
    import_snapshot_request::Part as ImportPart, upload_blobs_request::Part as UploadPart,
};
use membrane_server::{
    id::{UserId, WorkspaceId},
    snapshots::{Kind, NewSnapshot},
};
use prost::Message as _;

use super::{Allowed, Method, Place, mask, one};
use crate::fixture::TestServer;

/// Takes a snapshot, and answers its id.
pub async fn furnish(server: &TestServer, workspace: WorkspaceId, user: UserId) -> String {
    let new = NewSnapshot {
        workspace,
        user,
        title: String::new(),
        pinned: false,
        key: None,
    };
    let taken = server.app.snapshots.take(new, Kind::Taken).await;
    taken.expect("a snapshot").id.to_string()
}

fn header(place: &Place) -> proto::SnapshotHeader {
    proto::SnapshotHeader {
        workspace_id: place.workspace.clone(),
        ..Default::default()
    }
}

pub const METHODS: &[Method] = &[
    (
        "SnapshotService/CreateSnapshot",
        Allowed::Editors,
        |place| {
            one(proto::CreateSnapshotRequest {
                workspace_id: place.workspace.clone(),
                ..Default::default()
            })
        },
    ),
    ("SnapshotService/ListSnapshots", Allowed::Viewers, |place| {
        one(proto::ListSnapshotsRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("SnapshotService/GetSnapshot", Allowed::Viewers, |place| {
        one(proto::GetSnapshotRequest {
            workspace_id: place.workspace.clone(),
            snapshot_id: place.snapshot.clone(),
        })
    }),
    (
        "SnapshotService/UpdateSnapshot",
        Allowed::Editors,
        |place| {
            one(proto::UpdateSnapshotRequest {
                workspace_id: place.workspace.clone(),
                snapshot: Some(proto::Snapshot {
                    id: place.snapshot.clone(),
                    title: "renamed".to_owned(),
                    ..Default::default()
                }),
                update_mask: mask("title"),
            })
        },
    ),
    (
        "SnapshotService/DeleteSnapshot",
        Allowed::Editors,
        |place| {
            one(proto::DeleteSnapshotRequest {
                workspace_id: place.workspace.clone(),
                snapshot_id: place.snapshot.clone(),
            })
        },
    ),
    (
        "SnapshotService/RestoreSnapshot",
        Allowed::Editors,
        |place| {
            one(proto::RestoreSnapshotRequest {
                workspace_id: place.workspace.clone(),
                snapshot_id: place.snapshot.clone(),
                paths: Vec::new(),
            })
        },
    ),
    (
        "SnapshotService/ExportSnapshot",
        Allowed::Viewers,
        |place| {
            one(proto::ExportSnapshotRequest {
                workspace_id: place.workspace.clone(),
                snapshot_id: place.snapshot.clone(),
            })
        },
    ),
    (
        "SnapshotService/ImportSnapshot",
        Allowed::Editors,
        |place| {
            let archive = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
            let parts = [
                ImportPart::Header(header(place)),
                ImportPart::Chunk(Bytes::from_static(archive)),
            ];
            let message = |part| proto::ImportSnapshotRequest { part: Some(part) };
            let messages = parts.into_iter().map(message);
            messages.map(|one| one.encode_to_vec().into()).collect()
        },
    ),
    ("SnapshotService/ReadManifest", Allowed::Viewers, |place| {
        one(proto::ReadManifestRequest {
            workspace_id: place.workspace.clone(),
            snapshot_id: place.snapshot.clone(),
        })
    }),
    ("SnapshotService/DownloadBlobs", Allowed::Viewers, |place| {
        one(proto::DownloadBlobsRequest {
            workspace_id: place.workspace.clone(),
            snapshot_id: place.snapshot.clone(),
            // What the turn wrote that was recorded before.
            digests: vec![Digest::of(b"by a turn").to_string()],
        })
    }),
    (
        "SnapshotService/FindMissingBlobs",
        Allowed::Editors,
        |place| {
            one(proto::FindMissingBlobsRequest {
                workspace_id: place.workspace.clone(),
                files: Vec::new(),
            })
        },
    ),
    ("SnapshotService/UploadBlobs", Allowed::Editors, |place| {
        one(proto::UploadBlobsRequest {
            part: Some(UploadPart::Header(proto::UploadBlobsHeader {
                workspace_id: place.workspace.clone(),
            })),
        })
    }),
    (
        "SnapshotService/CommitSnapshot",
        Allowed::Editors,
        |place| {
            one(proto::CommitSnapshotRequest {
                part: Some(CommitPart::Header(header(place))),
            })
        },
    ),
];

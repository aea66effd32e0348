//! ChangeService, and what its calls are about.

use std::fs;

use membrane_proto::v1 as proto;
use membrane_server::id::{SessionId, TurnId, WorkspaceId};

use super::{Allowed, Method, Place, one};
use crate::fixture::TestServer;

/// Records a turn of a session that writes a file, and answers the change set.
pub async fn furnish(server: &TestServer, id: WorkspaceId, session: SessionId) -> String {
    let changes = &server.app.changes;
    let recording = changes.begin(id, session, TurnId::new()).await;
    let files = server.app.places.place(id).files;
    fs::write(files.join("changed"), "by a turn").expect("written");
    let recorded = changes.finish(recording.expect("begun")).await;
    let set = recorded.expect("recorded").change_set;
    set.expect("a change set").to_string()
}

fn scope(place: &Place) -> Option<proto::ChangeScope> {
    Some(proto::ChangeScope {
        of: Some(proto::change_scope::Of::ChangeSetId(
            place.change_set.clone(),
        )),
    })
}

pub const METHODS: &[Method] = &[
    ("ChangeService/ListChangeSets", Allowed::Viewers, |place| {
        one(proto::ListChangeSetsRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("ChangeService/GetChangeSet", Allowed::Viewers, |place| {
        one(proto::GetChangeSetRequest {
            workspace_id: place.workspace.clone(),
            change_set_id: place.change_set.clone(),
        })
    }),
    ("ChangeService/ListChanges", Allowed::Viewers, |place| {
        one(proto::ListChangesRequest {
            workspace_id: place.workspace.clone(),
            scope: scope(place),
            ..Default::default()
        })
    }),
    ("ChangeService/GetFileDiff", Allowed::Viewers, |place| {
        one(proto::GetFileDiffRequest {
            workspace_id: place.workspace.clone(),
            scope: scope(place),
            path: "changed".to_owned(),
            context_lines: 0,
        })
    }),
    ("ChangeService/ReadChangedFile", Allowed::Viewers, |place| {
        one(proto::ReadChangedFileRequest {
            workspace_id: place.workspace.clone(),
            scope: scope(place),
            path: "changed".to_owned(),
            side: proto::ChangeSide::After.into(),
        })
    }),
    ("ChangeService/DiscardChanges", Allowed::Editors, |place| {
        one(proto::DiscardChangesRequest {
            workspace_id: place.workspace.clone(),
            scope: scope(place),
            ..Default::default()
        })
    }),
];

//! Snapshots: taken, compared, brought back, sent and received.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
};

use bytes::Bytes;
use membrane_proto::v1::{
    self as proto, ChangeStatus, commit_snapshot_request::Part as CommitPart, snapshot_entry::Node,
    upload_blobs_request::Part as UploadPart,
};
use tonic::{Code, Status};

use crate::fixture::{Caller, TestServer, reason};

mod sending;

/// A user with a workspace.
struct Desk {
    user: Caller,
    workspace: String,
    files: PathBuf,
}

impl Desk {
    async fn new(server: &TestServer, name: &str) -> Self {
        let user = server.user(name).await;
        let workspace = user.new_workspace().await;
        let root = server.directory.path().join("workspaces");
        Self {
            files: root.join(&workspace).join("files"),
            user,
            workspace,
        }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.files.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.files.join(path)).expect("a file")
    }

    /// Everything that is there: `find`'s view of names, kinds, modes and sizes.
    fn tree(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.files.clone()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                let metadata = fs::symlink_metadata(&path).expect("metadata");
                let name = path.strip_prefix(&self.files).expect("beneath").display();
                let about = if metadata.is_dir() {
                    open.push(path.clone());
                    "directory".to_owned()
                } else if metadata.is_symlink() {
                    format!("-> {}", fs::read_link(&path).expect("a target").display())
                } else {
                    let executable = metadata.permissions().mode() & 0o100 != 0;
                    let text =
                        String::from_utf8_lossy(&fs::read(&path).expect("read")).into_owned();
                    format!("{executable} {text}")
                };
                found.push(format!("{name}: {about}"));
            }
        }
        found.sort();
        found
    }

    async fn take(&self, title: &str) -> proto::Snapshot {
        let request = proto::CreateSnapshotRequest {
            workspace_id: self.workspace.clone(),
            title: title.to_owned(),
            ..Default::default()
        };
        let answer = self.user.snapshots().create_snapshot(request).await;
        let snapshot = answer.expect("a snapshot").into_inner().snapshot;
        snapshot.expect("a snapshot")
    }

    async fn list(&self) -> Vec<proto::Snapshot> {
        let request = proto::ListSnapshotsRequest {
            workspace_id: self.workspace.clone(),
            ..Default::default()
        };
        let answer = self.user.snapshots().list_snapshots(request).await;
        answer.expect("a list").into_inner().snapshots
    }

    async fn restore(
        &self,
        snapshot: &proto::Snapshot,
        paths: &[&str],
    ) -> Result<proto::RestoreSnapshotResponse, Status> {
        let request = proto::RestoreSnapshotRequest {
            workspace_id: self.workspace.clone(),
            snapshot_id: snapshot.id.clone(),
            paths: paths.iter().map(ToString::to_string).collect(),
        };
        let answer = self.user.snapshots().restore_snapshot(request).await?;
        Ok(answer.into_inner())
    }

    async fn differences(&self, before: &str, after: &str) -> Vec<(ChangeStatus, String)> {
        let pair = proto::SnapshotPair {
            before_id: before.to_owned(),
            after_id: after.to_owned(),
        };
        let request = proto::ListChangesRequest {
            workspace_id: self.workspace.clone(),
            scope: Some(proto::ChangeScope {
                of: Some(proto::change_scope::Of::Snapshots(pair)),
            }),
            ..Default::default()
        };
        let answer = self.user.changes().list_changes(request).await;
        let changes = answer.expect("changes").into_inner().changes;
        let pairs = changes.into_iter();
        pairs.map(|change| (change.status(), change.path)).collect()
    }

    async fn manifest(&self, snapshot: &proto::Snapshot) -> Vec<proto::SnapshotEntry> {
        let request = proto::ReadManifestRequest {
            workspace_id: self.workspace.clone(),
            snapshot_id: snapshot.id.clone(),
        };
        let answer = self.user.snapshots().read_manifest(request).await;
        let mut parts = answer.expect("a manifest").into_inner();
        let mut entries = Vec::new();
        while let Some(part) = parts.message().await.expect("a part") {
            entries.extend(part.entries);
        }
        entries
    }

    async fn download(
        &self,
        snapshot: &proto::Snapshot,
        digests: Vec<String>,
    ) -> Result<Vec<(String, Vec<u8>)>, Status> {
        let request = proto::DownloadBlobsRequest {
            workspace_id: self.workspace.clone(),
            snapshot_id: snapshot.id.clone(),
            digests,
        };
        let mut parts = self
            .user
            .snapshots()
            .download_blobs(request)
            .await?
            .into_inner();
        let mut blobs: Vec<(String, Vec<u8>)> = Vec::new();
        while let Some(part) = parts.message().await? {
            if !part.digest.is_empty() {
                blobs.push((part.digest, Vec::new()));
            }
            let (_, bytes) = blobs.last_mut().expect("a blob has begun");
            bytes.extend_from_slice(&part.data);
        }
        Ok(blobs)
    }

    async fn missing(&self, files: Vec<proto::SnapshotFile>) -> Vec<String> {
        let request = proto::FindMissingBlobsRequest {
            workspace_id: self.workspace.clone(),
            files,
        };
        let answer = self.user.snapshots().find_missing_blobs(request).await;
        answer.expect("an answer").into_inner().digests
    }

    async fn upload(&self, blobs: Vec<(String, Vec<u8>)>) -> Result<i32, Status> {
        let header = UploadPart::Header(proto::UploadBlobsHeader {
            workspace_id: self.workspace.clone(),
        });
        let mut parts = vec![header];
        for (digest, bytes) in blobs {
            parts.push(UploadPart::Digest(digest));
            let chunks = bytes.chunks(1 << 20).map(Bytes::copy_from_slice);
            parts.extend(chunks.map(UploadPart::Data));
        }
        let messages: Vec<_> = parts
            .into_iter()
            .map(|part| proto::UploadBlobsRequest { part: Some(part) })
            .collect();
        let answer = self
            .user
            .snapshots()
            .upload_blobs(tokio_stream::iter(messages))
            .await?;
        Ok(answer.into_inner().blob_count)
    }

    async fn commit(
        &self,
        entries: Vec<proto::SnapshotEntry>,
        request_id: &str,
    ) -> Result<proto::Snapshot, Status> {
        let header = CommitPart::Header(proto::SnapshotHeader {
            workspace_id: self.workspace.clone(),
            title: "sent".to_owned(),
            pinned: false,
            request_id: request_id.to_owned(),
        });
        let entries = CommitPart::Entries(proto::SnapshotEntries { entries });
        let messages =
            [header, entries].map(|part| proto::CommitSnapshotRequest { part: Some(part) });
        let answer = self
            .user
            .snapshots()
            .commit_snapshot(tokio_stream::iter(messages))
            .await?;
        Ok(answer.into_inner().snapshot.expect("a snapshot"))
    }
}

fn files_of(entries: &[proto::SnapshotEntry]) -> Vec<proto::SnapshotFile> {
    let files = entries.iter().filter_map(|entry| match &entry.node {
        Some(Node::File(file)) => Some(file.clone()),
        _ => None,
    });
    files.collect()
}

/// A tree with one of everything.
async fn furnished(server: &TestServer, name: &str) -> Desk {
    let desk = Desk::new(server, name).await;
    desk.write("src/one", "one");
    desk.write("src/two", "two");
    desk.write("run", "#!/bin/sh");
    desk.write("large", &"0123456789".repeat(300_000));
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(desk.files.join("run"), executable).expect("set");
    fs::create_dir(desk.files.join("empty")).expect("made");
    symlink("src/one", desk.files.join("link")).expect("linked");
    desk.write("node_modules/kept", "a cache");
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_brings_everything_back_and_can_be_undone() {
    let server = TestServer::start().await;
    let desk = furnished(&server, "user").await;
    let old = desk.tree();
    let first = desk.take("before the change").await;
    assert_eq!((first.file_count, first.skipped_paths.len()), (4, 1));
    assert_eq!(first.total_bytes, 3_000_015);

    desk.write("src/one", "ONE");
    fs::remove_file(desk.files.join("src/two")).expect("removed");
    fs::remove_file(desk.files.join("link")).expect("removed");
    fs::remove_dir(desk.files.join("empty")).expect("removed");
    desk.write("empty", "a file now");
    desk.write("new/deep/file", "new");
    let changed = desk.tree();
    use ChangeStatus::{Added, Deleted, Modified, Type};
    let expected = [
        (Type, "empty"),
        (Deleted, "link"),
        (Added, "new/deep/file"),
        (Modified, "src/one"),
        (Deleted, "src/two"),
    ];
    let expected = expected.map(|(status, path)| (status, path.to_owned()));
    assert_eq!(desk.differences(&first.id, "").await, expected);

    let restored = desk.restore(&first, &[]).await.expect("restored");
    assert_eq!(desk.tree(), old);
    assert!(restored.changed_count >= 5, "{restored:?}");
    let before = restored.before.expect("what was there");
    assert_eq!(before.title, "Before “before the change” was restored");
    assert_eq!(desk.differences(&first.id, &before.id).await, expected);
    assert!(desk.differences(&first.id, "").await.is_empty());

    desk.restore(&before, &[]).await.expect("undone");
    assert_eq!(desk.tree(), changed);
    let again = desk.restore(&before, &[]).await.expect("nothing to do");
    assert_eq!(again, proto::RestoreSnapshotResponse::default());
    assert_eq!(desk.list().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_brought_back_belongs_to_nothing_else() {
    let server = TestServer::start().await;
    let desk = furnished(&server, "user").await;
    let first = desk.take("").await;
    desk.write("src/two", "changed");
    desk.restore(&first, &[]).await.expect("restored");
    // Files that did not change were linked from the tree before, and are nobody else's now.
    desk.write("src/one", "written in place");
    assert_eq!(desk.differences(&first.id, "").await.len(), 1);
    desk.restore(&first, &[]).await.expect("restored again");
    assert_eq!(desk.read("src/one"), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn some_paths_are_brought_back_and_others_stay() {
    let server = TestServer::start().await;
    let desk = furnished(&server, "user").await;
    let first = desk.take("").await;
    desk.write("src/one", "ONE");
    desk.write("src/new", "new");
    fs::remove_file(desk.files.join("run")).expect("removed");
    desk.write("large", "small");
    desk.restore(&first, &["src", "run"])
        .await
        .expect("restored");
    assert_eq!(desk.read("src/one"), "one");
    assert_eq!(desk.read("run"), "#!/bin/sh");
    assert_eq!(desk.read("large"), "small");
    assert!(!desk.files.join("src/new").exists());
    let missing = desk.restore(&first, &["nowhere"]).await;
    assert_eq!(missing.expect_err("not there").code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_that_no_snapshot_has() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server, "user").await;
    desk.write("thing", "a file");
    let with_file = desk.take("").await;
    fs::remove_file(desk.files.join("thing")).expect("removed");
    desk.write("thing/node_modules/kept", "a cache");
    let old = desk.tree();
    let refused = desk.restore(&with_file, &[]).await.expect_err("in the way");
    assert_eq!(reason(&refused), "IN_THE_WAY");
    assert_eq!(desk.tree(), old);
    assert_eq!(
        desk.list().await.len(),
        1,
        "nothing is kept of a restore that was none"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_snapshot_is_restored_under_an_agent() {
    let server = TestServer::start().await;
    let desk = furnished(&server, "user").await;
    desk.user.bypass_permissions(&desk.workspace).await;
    let first = desk.take("").await;
    let session = desk.user.new_session(&desk.workspace).await;
    let wait = "!bash echo changed > src/one; while [ ! -e go ]; do sleep 0.02; done";
    desk.user.say(&session, wait).await.expect("sent");
    desk.user
        .until(&session, |kind| {
            matches!(kind, proto::event_payload::Kind::ToolCall(_))
        })
        .await;
    let refused = desk.restore(&first, &[]).await.expect_err("an agent works");
    assert_eq!(reason(&refused), "TURN_RUNNING");
    desk.write("go", "");
    desk.user.until_turn_ended(&session, 1).await;
    desk.restore(&first, &[]).await.expect("restored");
    assert_eq!(desk.read("src/one"), "one");
    // What a restore did to the tree is the agent's to see.
    desk.user
        .say(&session, "!bash cat src/one > copy")
        .await
        .expect("sent");
    desk.user.until_turn_ended(&session, 2).await;
    assert_eq!(desk.read("copy"), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_snapshot_stays() {
    let server = TestServer::start().await;
    let desk = furnished(&server, "user").await;
    let first = desk.take("first").await;
    let update = |pinned, title: &str, paths: &[&str]| proto::UpdateSnapshotRequest {
        workspace_id: desk.workspace.clone(),
        snapshot: Some(proto::Snapshot {
            id: first.id.clone(),
            pinned,
            title: title.to_owned(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(ToString::to_string).collect(),
        }),
    };
    let delete = proto::DeleteSnapshotRequest {
        workspace_id: desk.workspace.clone(),
        snapshot_id: first.id.clone(),
    };
    let mut client = desk.user.snapshots();
    client
        .update_snapshot(update(true, "", &["pinned"]))
        .await
        .expect("pinned");
    let kept = desk.list().await.remove(0);
    assert_eq!((kept.pinned, kept.title.as_str()), (true, "first"));
    let refused = client
        .delete_snapshot(delete.clone())
        .await
        .expect_err("pinned");
    assert_eq!(reason(&refused), "PINNED");
    let wrong = client.update_snapshot(update(true, "", &["kind"])).await;
    assert_eq!(
        wrong.expect_err("not a field").code(),
        Code::InvalidArgument
    );
    let both = update(false, "second", &["pinned", "title"]);
    client.update_snapshot(both).await.expect("unpinned");
    assert_eq!(desk.list().await[0].title, "second");
    client
        .delete_snapshot(delete.clone())
        .await
        .expect("deleted");
    let gone = client.delete_snapshot(delete).await.expect_err("gone");
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_keeps_its_contents_when_others_go() {
    let server = TestServer::start().await;
    let desk = furnished(&server, "user").await;
    let kept = desk.take("kept").await;
    desk.write("src/one", "ONE");
    let doomed = desk.take("doomed").await;
    let delete = proto::DeleteSnapshotRequest {
        workspace_id: desk.workspace.clone(),
        snapshot_id: doomed.id,
    };
    desk.user
        .snapshots()
        .delete_snapshot(delete)
        .await
        .expect("deleted");
    let id = membrane_server::id::WorkspaceId(desk.workspace.parse().expect("an id"));
    server.app.changes.collect(id).await.expect("collected");
    desk.restore(&kept, &[]).await.expect("restored");
    assert_eq!(desk.read("src/one"), "one");
}

//! Watching directories: whoever changes them, wherever they go, and the right to see it.

use std::fs;

use membrane_proto::v1::{self as proto, watch_response::Kind};
use membrane_server::authz::Role;
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use super::{Desk, on_disk, refused};
use crate::fixture::{CAP, Caller, TestServer};

/// A watch of directories of one workspace.
struct Watch(Streaming<proto::WatchResponse>);

impl Watch {
    async fn new(user: &Caller, workspace: &str, paths: &[&str]) -> Result<Self, Status> {
        let directory = |path: &&str| proto::WatchedDirectory {
            workspace_id: workspace.to_owned(),
            path: (*path).to_owned(),
        };
        let request = proto::WatchRequest {
            directories: paths.iter().map(directory).collect(),
            ..Default::default()
        };
        Ok(Self(user.events().watch(request).await?.into_inner()))
    }

    /// A watch that has begun.
    async fn begun(desk: &Desk, path: &str) -> Self {
        let watch = Self::new(&desk.user, &desk.workspace, &[path]).await;
        let mut watch = watch.expect("a watch");
        watch.change_of(path).await;
        watch
    }

    async fn next(&mut self) -> Option<Kind> {
        let message = tokio::time::timeout(CAP, self.0.message()).await;
        let message = message.expect("in time").expect("no error")?;
        Some(message.kind.expect("a kind"))
    }

    /// Waits until something changed in this directory.
    async fn change_of(&mut self, path: &str) {
        loop {
            match self.next().await.expect("no end") {
                Kind::FilesChanged(changed) if changed.path == path => return,
                Kind::FilesChanged(_) | Kind::Heartbeat(_) => {}
                other => panic!("not a change: {other:?}"),
            }
        }
    }

    /// Waits for the end.
    async fn end(&mut self) -> proto::End {
        loop {
            match self.next().await.expect("an end in words") {
                Kind::End(end) => return end,
                Kind::FilesChanged(_) | Kind::Heartbeat(_) => {}
                other => panic!("not an end: {other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_is_seen() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("d/file", "1").await.expect("written");
    let mut watch = Watch::begun(&desk, "d").await;
    desk.write("d/new", "").await.expect("written");
    watch.change_of("d").await;
    desk.write("d/file", "2").await.expect("written");
    watch.change_of("d").await;
    desk.rename("d/file", "elsewhere").await.expect("moved");
    watch.change_of("d").await;
    desk.delete("d/new").await.expect("deleted");
    watch.change_of("d").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agents_command_does_is_seen() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.user.bypass_permissions(&desk.workspace).await;
    let session = desk.user.new_session(&desk.workspace).await;
    let mut watch = Watch::begun(&desk, "").await;
    let said = desk.user.say(&session, "!bash echo made > by-the-agent");
    said.await.expect("said");
    while desk.get("by-the-agent").await.is_err() {
        watch.change_of("").await;
    }
    desk.user.until_turn_ended(&session, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_that_grow_in_place_are_seen() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("log", "a").await.expect("written");
    let mut watch = Watch::begun(&desk, "").await;
    let log = on_disk(&server, &desk.workspace).join("log");
    fs::write(log, "a longer text").expect("written");
    watch.change_of("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deeper_or_elsewhere_is_not_told() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("d/e/file", "").await.expect("written");
    let paths = ["d", "other"];
    let watch = Watch::new(&desk.user, &desk.workspace, &paths).await;
    let mut watch = watch.expect("a watch");
    for _ in paths {
        assert!(matches!(watch.next().await, Some(Kind::FilesChanged(_))));
    }
    desk.write("d/e/new", "").await.expect("written");
    desk.write("other/new", "").await.expect("written");
    let Some(Kind::FilesChanged(first)) = watch.next().await else {
        panic!("not a change");
    };
    assert_eq!(first.path, "other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_watched_whatever_is_there() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let mut watch = Watch::begun(&desk, "a/b").await;
    desk.write("a/b/file", "").await.expect("written");
    watch.change_of("a/b").await;
    // A directory above it goes, and another one comes.
    desk.rename("a", "c").await.expect("moved");
    watch.change_of("a/b").await;
    desk.write("a/b/another", "").await.expect("written");
    watch.change_of("a/b").await;
    desk.delete("a/b").await.expect("deleted");
    watch.change_of("a/b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_changes_are_few_messages() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let paths = ["d", "other"];
    for path in paths {
        desk.create(path).await.expect("created");
    }
    let watch = Watch::new(&desk.user, &desk.workspace, &paths).await;
    let mut watch = watch.expect("a watch");
    for _ in paths {
        assert!(matches!(watch.next().await, Some(Kind::FilesChanged(_))));
    }
    let directory = on_disk(&server, &desk.workspace).join("d");
    let began = Instant::now();
    for n in 0..20_000 {
        fs::write(directory.join(n.to_string()), "x").expect("written");
    }
    desk.write("other/last", "").await.expect("written");
    let (mut messages, mut last) = (0, String::new());
    while last != "other" {
        let Some(Kind::FilesChanged(changed)) = watch.next().await else {
            continue;
        };
        (messages, last) = (messages + 1, changed.path);
    }
    let most = 5 + 4 * began.elapsed().as_secs();
    assert!((2..=most).contains(&messages), "{messages} messages");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_watch_carries_streams_and_directories() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let session = desk.user.new_session(&desk.workspace).await;
    let request = proto::WatchRequest {
        cursors: vec![proto::StreamCursor {
            stream: format!("sessions/{session}"),
            after_sequence: 0,
        }],
        directories: vec![proto::WatchedDirectory {
            workspace_id: desk.workspace.clone(),
            path: String::new(),
        }],
    };
    let watch = desk.user.events().watch(request).await.expect("a watch");
    let mut watch = Watch(watch.into_inner());
    let (mut stream, mut directory) = (false, false);
    while !(stream && directory) {
        match watch.next().await.expect("no end") {
            Kind::CaughtUp(_) => stream = true,
            Kind::FilesChanged(_) => directory = true,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_see_the_files_no_more_hears_of_them_no_more() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let viewer = server.user("viewer").await;
    server
        .set_role(&desk.workspace, &viewer, Role::Viewer)
        .await;
    let watch = Watch::new(&viewer, &desk.workspace, &["d"]).await;
    let mut watch = watch.expect("a watch");
    let removed = server.app.database.remove_member(desk.id(), viewer.id);
    removed.await.expect("removed");
    let end = watch.end().await;
    assert_eq!(end.reason(), proto::EndReason::AccessLost);
    let directory = end.directory.expect("a directory");
    assert_eq!(
        (directory.workspace_id, directory.path.as_str()),
        (desk.workspace, "d")
    );
    assert_eq!(watch.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_workspace_ends_its_watches() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let mut watch = Watch::begun(&desk, "").await;
    let request = proto::DeleteWorkspaceRequest {
        workspace_id: desk.workspace.clone(),
        etag: String::new(),
    };
    let deleted = desk.user.workspaces().delete_workspace(request).await;
    deleted.expect("deleted");
    assert_eq!(watch.end().await.reason(), proto::EndReason::Deleted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_ends_watches_of_directories() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let mut watch = Watch::begun(&desk, "").await;
    let stopping = tokio::spawn(server.stop());
    let end = watch.end().await;
    assert_eq!(end.reason(), proto::EndReason::ServerStopping);
    assert_eq!(end.directory, None);
    stopping.await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_checked() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let many: Vec<String> = (0..65).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let bad: [&[&str]; 5] = [&[], &many, &["d", "d"], &["/d"], &["a/../b"]];
    for paths in bad {
        let refusal = Watch::new(&desk.user, &desk.workspace, paths).await;
        let code = refusal.err().expect("refused").code();
        assert_eq!(code, Code::InvalidArgument, "{paths:?}");
    }
    let stranger = server.user("stranger").await;
    let foreign = Watch::new(&stranger, &desk.workspace, &[""]).await;
    let absent = Watch::new(&stranger, &uuid::Uuid::new_v4().to_string(), &[""]).await;
    let (foreign, absent) = (foreign.err().expect("no"), absent.err().expect("no"));
    assert_eq!(foreign.code(), Code::NotFound);
    assert_eq!(foreign.message(), absent.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_watches_very_many_directories() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let paths: Vec<String> = (0..64).map(|n| n.to_string()).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let mut open = Vec::new();
    for _ in 0..8 {
        let watch = Watch::new(&desk.user, &desk.workspace, &paths).await;
        open.push(watch.expect("a watch"));
    }
    let one_more = Watch::new(&desk.user, &desk.workspace, &["d"]).await;
    refused(
        one_more.map(|_| ()),
        Code::ResourceExhausted,
        "TOO_MANY_WATCHES",
    );
    // What is closed makes room.
    open.pop();
    let deadline = Instant::now() + CAP;
    while Watch::new(&desk.user, &desk.workspace, &["d"])
        .await
        .is_err()
    {
        assert!(Instant::now() < deadline, "never");
        tokio::task::yield_now().await;
    }
}

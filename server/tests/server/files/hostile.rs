//! Names and neighbours that mean no good.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, symlink},
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use membrane_proto::v1::{self as proto, watch_response::Kind};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::Code;

use super::{Desk, on_disk, refused};
use crate::fixture::{CAP, TestServer};

#[tokio::test]
async fn hostile_names_go_all_the_way_round() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let long = [b'n'; 255];
    let names: [&[u8]; 9] = [
        b"line\nbreak\x1b[31m",
        "\u{202e}txt.exe".as_bytes(),
        b"<img src=x onerror=alert(1)>",
        b"back\\slash",
        b"\\x41",
        b"not \xff\xfe utf-8 \xc3",
        "e\u{301}".as_bytes(),
        b" ",
        &long,
    ];
    let directory = on_disk(&server, &desk.workspace);
    for name in names {
        fs::write(directory.join(OsStr::from_bytes(name)), name).expect("a file");
    }
    let listed = desk.list("").await.expect("a list");
    assert_eq!(listed.len(), names.len());
    for path in listed {
        let bytes = desk.read(&path).await.expect("bytes");
        assert!(names.contains(&&bytes[..]), "{path}");
        let moved = desk
            .rename(&path, &format!("d/{path}"))
            .await
            .expect("moved");
        let item = desk.delete(&moved.path).await.expect("deleted");
        assert_eq!(item.file.expect("a file").path, moved.path);
        desk.restore(&item.id, "").await.expect("restored");
        assert_eq!(desk.read(&moved.path).await.expect("bytes"), bytes);
        let back = on_disk(&server, &desk.workspace).join("d");
        assert!(back.join(OsStr::from_bytes(&bytes)).exists(), "{path}");
    }
}

#[tokio::test]
async fn another_workspaces_things_are_not_found_in_ones_own() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let other = Desk {
        user: desk.user.clone(),
        workspace: desk.user.new_workspace().await,
    };
    desk.write("file", "x").await.expect("written");
    let item = desk.delete("file").await.expect("deleted");
    refused(
        other.restore(&item.id, "").await,
        Code::NotFound,
        "NOT_FOUND",
    );
    let upload = proto::CreateUploadRequest {
        workspace_id: desk.workspace.clone(),
        path: "file".to_owned(),
        ..Default::default()
    };
    let upload = desk
        .user
        .files()
        .create_upload(upload)
        .await
        .expect("begun");
    let upload_id = upload.into_inner().upload.expect("an upload").id;
    let workspace_id = other.workspace.clone();
    let request = proto::GetUploadRequest {
        workspace_id,
        upload_id,
    };
    refused(
        other.user.files().get_upload(request).await,
        Code::NotFound,
        "NOT_FOUND",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_led_outside_by_a_swapped_directory() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let swapped = Swapped::start(&server, &desk).await;
    desk.write("plain", "inside").await.expect("written");
    let mut stolen = false;
    for n in 0..150 {
        stolen |= desk
            .read("v/file")
            .await
            .is_ok_and(|bytes| bytes == b"outside");
        let _ = desk.write("v/file", "inside").await;
        let _ = desk.create(&format!("v/{n}")).await;
        let _ = desk.rename("plain", "v/plain").await;
        let _ = desk.rename("v/plain", "plain").await;
        if let Ok(item) = desk.delete("v/file").await {
            let _ = desk.restore(&item.id, "").await;
        }
        let _ = desk.list("v").await;
    }
    swapped.stop().await;
    assert!(!stolen, "read outside");
}

/// The same for what reads more than one file: searches, previews, and the watch.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_found_shown_or_watched_outside_by_a_swapped_directory() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let swapped = Swapped::start(&server, &desk).await;
    let directory = proto::WatchedDirectory {
        workspace_id: desk.workspace.clone(),
        path: "v".to_owned(),
    };
    let request = proto::WatchRequest {
        directories: vec![directory],
        ..Default::default()
    };
    let watch = desk.user.events().watch(request).await.expect("a watch");
    let mut watch = watch.into_inner();
    let mut changes = 0;
    for _ in 0..60 {
        let shown = desk.preview("v/file", "").await;
        let shown = format!("{shown:?}");
        assert!(!shown.contains("outside"), "{shown}");
        assert!(!found(&desk).await.contains("canary"), "found outside");
        assert!(
            !matched(&desk).await.contains("outside"),
            "searched outside"
        );
        assert!(!swapped.is_watched(), "watched outside");
    }
    // It has looked again and again all the while, and each time at what is inside.
    while changes < 5 {
        let message = tokio::time::timeout(CAP, watch.message()).await;
        let message = message
            .expect("in time")
            .expect("no error")
            .expect("no end");
        changes += usize::from(matches!(message.kind, Some(Kind::FilesChanged(_))));
        assert!(!swapped.is_watched(), "watched outside");
    }
    swapped.stop().await;
}

async fn found(desk: &Desk) -> String {
    let request = proto::FindFilesRequest {
        workspace_id: desk.workspace.clone(),
        query: "file".to_owned(),
        ..Default::default()
    };
    format!("{:?}", desk.user.files().find_files(request).await)
}

async fn matched(desk: &Desk) -> String {
    let request = proto::SearchFilesRequest {
        workspace_id: desk.workspace.clone(),
        pattern: "side".to_owned(),
        path: "v".to_owned(),
        ..Default::default()
    };
    let mut all = String::new();
    let answer = desk.user.files().search_files(request).await;
    if let Ok(parts) = answer.map(tonic::Response::into_inner) {
        let mut parts = parts;
        while let Ok(Some(part)) = parts.message().await {
            all.push_str(&format!("{part:?}"));
        }
    }
    all
}

/// A directory `v` in a workspace, which a thread swaps again and again for a link that leads out.
struct Swapped {
    outside: TempDir,
    done: Arc<AtomicBool>,
    swapping: JoinHandle<u32>,
}

impl Swapped {
    async fn start(server: &TestServer, desk: &Desk) -> Self {
        desk.write("v/file", "inside").await.expect("written");
        let outside = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("file"), "outside").expect("a file");
        fs::write(outside.path().join("canary-file"), "outside").expect("a canary");
        let directory = on_disk(server, &desk.workspace);
        symlink(outside.path(), directory.join("aside")).expect("a link");
        let done = Arc::new(AtomicBool::new(false));
        let (victim, aside) = (directory.join("v"), directory.join("aside"));
        let stop = done.clone();
        let swapping = tokio::task::spawn_blocking(move || {
            let mut swaps = 0;
            while !stop.load(Ordering::Relaxed) {
                let (cwd, exchange) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
                let swapped = rustix::fs::renameat_with(cwd, &victim, cwd, &aside, exchange);
                swaps += u32::from(swapped.is_ok());
            }
            swaps
        });
        Self {
            outside,
            done,
            swapping,
        }
    }

    /// Whether this process has asked the kernel to tell of changes out there.
    fn is_watched(&self) -> bool {
        let inode = fs::metadata(self.outside.path()).expect("it").ino();
        let wanted = format!("ino:{inode:x} ");
        let all = fs::read_dir("/proc/self/fdinfo").expect("descriptors");
        let infos = all.filter_map(|info| fs::read_to_string(info.ok()?.path()).ok());
        infos
            .flat_map(|info| info.lines().map(str::to_owned).collect::<Vec<_>>())
            .any(|line| line.starts_with("inotify") && line.contains(&wanted))
    }

    /// Ends it, and looks whether anything out there has changed.
    async fn stop(self) {
        self.done.store(true, Ordering::Relaxed);
        assert!(self.swapping.await.expect("no panic") > 0);
        for name in ["file", "canary-file"] {
            let text = fs::read_to_string(self.outside.path().join(name));
            assert_eq!(text.expect("it is there"), "outside");
        }
        let left = fs::read_dir(self.outside.path()).expect("a directory");
        assert_eq!(left.count(), 2);
    }
}

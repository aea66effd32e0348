//! Names and neighbours that mean no good.

use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use membrane_proto::v1 as proto;
use tonic::Code;

use super::{Desk, on_disk, refused};
use crate::fixture::TestServer;

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
        std::fs::write(directory.join(OsStr::from_bytes(name)), name).expect("a file");
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
    desk.write("v/file", "inside").await.expect("written");
    desk.write("plain", "inside").await.expect("written");
    let outside = tempfile::tempdir().expect("a directory");
    std::fs::write(outside.path().join("file"), "outside").expect("a canary");
    let directory = on_disk(&server, &desk.workspace);
    symlink(outside.path(), directory.join("aside")).expect("a link");
    let done = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (done, victim, aside) = (done.clone(), directory.join("v"), directory.join("aside"));
        tokio::task::spawn_blocking(move || {
            let mut swaps = 0;
            while !done.load(Ordering::Relaxed) {
                let (cwd, exchange) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
                let swapped = rustix::fs::renameat_with(cwd, &victim, cwd, &aside, exchange);
                swaps += u32::from(swapped.is_ok());
            }
            swaps
        })
    };
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
    done.store(true, Ordering::Relaxed);
    assert!(swapping.await.expect("no panic") > 0);
    assert!(!stolen, "read outside");
    let canary = std::fs::read_to_string(outside.path().join("file")).expect("the canary");
    let left = std::fs::read_dir(outside.path())
        .expect("a directory")
        .count();
    assert_eq!((canary.as_str(), left), ("outside", 1));
}

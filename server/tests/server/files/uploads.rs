//! Uploads: resumed, refused, finished, given up.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use futures::future::join_all;
use membrane_files::root::Amount;
use membrane_proto::v1 as proto;
use membrane_server::{authz::Role, clock::Clock, files::Files};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{Desk, on_disk, refused};
use crate::{
    fixture::{TestServer, names_in, reason},
    hostile_archives,
};

const PIECE: usize = 1 << 20;

impl Desk {
    async fn begin(&self, request: proto::CreateUploadRequest) -> Result<proto::Upload, Status> {
        let request = proto::CreateUploadRequest {
            workspace_id: self.workspace.clone(),
            ..request
        };
        let answer = self.user.files().create_upload(request).await?;
        Ok(answer.into_inner().upload.expect("an upload"))
    }

    async fn add(&self, id: &str, offset: usize, data: &[u8]) -> Result<proto::Upload, Status> {
        let request = proto::WriteUploadRequest {
            workspace_id: self.workspace.clone(),
            upload_id: id.to_owned(),
            offset: offset as i64,
            data: data.to_vec().into(),
        };
        let answer = self.user.files().write_upload(request).await?;
        Ok(answer.into_inner().upload.expect("an upload"))
    }

    async fn progress(&self, id: &str) -> Result<i64, Status> {
        let request = proto::GetUploadRequest {
            workspace_id: self.workspace.clone(),
            upload_id: id.to_owned(),
        };
        let answer = self.user.files().get_upload(request).await?;
        Ok(answer.into_inner().upload.expect("an upload").received)
    }

    async fn finish(&self, id: &str) -> Result<proto::FinishUploadResponse, Status> {
        let request = proto::FinishUploadRequest {
            workspace_id: self.workspace.clone(),
            upload_id: id.to_owned(),
        };
        Ok(self.user.files().finish_upload(request).await?.into_inner())
    }

    async fn cancel(&self, id: &str) {
        let request = proto::CancelUploadRequest {
            workspace_id: self.workspace.clone(),
            upload_id: id.to_owned(),
        };
        self.user
            .files()
            .cancel_upload(request)
            .await
            .expect("cancelled");
    }

    /// Uploads a whole archive to a directory.
    async fn unpack(
        &self,
        path: &str,
        archive: &[u8],
    ) -> Result<proto::FinishUploadResponse, Status> {
        let request = proto::CreateUploadRequest {
            unpack: true,
            ..file(path, archive.len())
        };
        let upload = self.begin(request).await?;
        self.add(&upload.id, 0, archive).await?;
        self.finish(&upload.id).await
    }

    /// What is left of uploads.
    fn left(&self, server: &TestServer) -> Vec<String> {
        let files = on_disk(server, &self.workspace);
        let base = files.parent().expect("a parent");
        let mut left = names_in(&base.join("uploads"));
        left.extend(names_in(&base.join("staging")));
        left
    }
}

fn file(path: &str, size: usize) -> proto::CreateUploadRequest {
    proto::CreateUploadRequest {
        path: path.to_owned(),
        size: size as i64,
        ..Default::default()
    }
}

fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in entries {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).expect("an entry");
        writer.write_all(text.as_bytes()).expect("written");
    }
    writer.finish().expect("an archive").into_inner()
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let upload = desk.begin(file("d/file", 10)).await.expect("begun");
    assert_eq!(
        desk.add(&upload.id, 0, b"01234")
            .await
            .expect("taken")
            .received,
        5
    );
    let workspace = desk.workspace.clone();
    let server = TestServer::start_in(server.stop().await).await;
    let user = server.user("another").await;
    server.set_role(&workspace, &user, Role::Editor).await;
    let desk = Desk { user, workspace };
    assert_eq!(desk.progress(&upload.id).await.expect("progress"), 5);
    refused(
        desk.finish(&upload.id).await,
        Code::FailedPrecondition,
        "UPLOAD_INCOMPLETE",
    );
    refused(
        desk.add(&upload.id, 6, b"6").await,
        Code::FailedPrecondition,
        "UPLOAD_OFFSET",
    );
    refused(
        desk.add(&upload.id, 5, b"567890").await,
        Code::InvalidArgument,
        "INVALID_FIELDS",
    );
    refused(desk.get("d").await, Code::NotFound, "NOT_FOUND");
    assert_eq!(
        desk.add(&upload.id, 3, b"34567")
            .await
            .expect("taken")
            .received,
        8
    );
    assert_eq!(
        desk.add(&upload.id, 0, b"0123")
            .await
            .expect("known")
            .received,
        8
    );
    desk.add(&upload.id, 8, b"89").await.expect("taken");
    let finished = desk.finish(&upload.id).await.expect("finished");
    assert_eq!((finished.file_count, finished.total_bytes), (1, 10));
    assert_eq!(desk.read("d/file").await.expect("bytes"), b"0123456789");
    refused(desk.finish(&upload.id).await, Code::NotFound, "NOT_FOUND");
    refused(desk.progress(&upload.id).await, Code::NotFound, "NOT_FOUND");
    assert!(desk.left(&server).is_empty());
}

#[tokio::test]
async fn an_upload_replaces_a_file_only_when_told_to() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("file", "old").await.expect("written");
    desk.create("d").await.expect("made");
    refused(
        desk.begin(file("file", 1)).await,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
    );
    let replacing = |path: &str| proto::CreateUploadRequest {
        overwrite: true,
        ..file(path, 3)
    };
    refused(
        desk.begin(replacing("d")).await,
        Code::FailedPrecondition,
        "NOT_A_FILE",
    );
    let upload = desk.begin(replacing("file")).await.expect("begun");
    let other = desk.begin(replacing("later")).await.expect("begun");
    for id in [&upload.id, &other.id] {
        desk.add(id, 0, b"new").await.expect("taken");
    }
    desk.create("later").await.expect("made meanwhile");
    refused(
        desk.finish(&other.id).await,
        Code::FailedPrecondition,
        "NOT_A_FILE",
    );
    desk.finish(&upload.id).await.expect("finished");
    assert_eq!(desk.read("file").await.expect("bytes"), b"new");
    desk.cancel(&other.id).await;
    desk.cancel(&other.id).await;
    desk.cancel("nonsense").await;
    assert!(desk.left(&server).is_empty());
}

#[tokio::test]
async fn a_repeated_request_begins_one_upload() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let request = proto::CreateUploadRequest {
        request_id: Uuid::new_v4().to_string(),
        ..file("file", 1)
    };
    let begun = join_all((0..20).map(|_| desk.begin(request.clone()))).await;
    let ids: Vec<String> = begun
        .into_iter()
        .map(|upload| upload.expect("begun").id)
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let uploads = on_disk(&server, &desk.workspace).with_file_name("uploads");
    assert_eq!(names_in(&uploads).len(), 2, "one file and one note");
}

#[tokio::test]
async fn an_archive_is_unpacked_all_of_it_or_nothing() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let good = archive(&[("src/main.rs", "fn main() {}"), ("README", "hello")]);
    desk.write("mine", "x").await.expect("written");
    let answer = desk.unpack("", &good).await.expect("unpacked");
    assert_eq!((answer.file_count, answer.total_bytes), (2, 17));
    assert_eq!(
        desk.list("").await.expect("a list"),
        ["src", "README", "mine"]
    );
    desk.unpack("new/place", &good).await.expect("unpacked");
    let error = desk.unpack("", &good).await.expect_err("there already");
    assert_eq!(error.code(), Code::AlreadyExists);
    assert!(
        error.message().contains("src") || error.message().contains("README"),
        "{error:?}"
    );
    refused(
        desk.unpack("mine", &good).await,
        Code::FailedPrecondition,
        "NOT_A_DIRECTORY",
    );
    let bad = archive(&[("fine", "x"), ("../escape", "x")]);
    refused(
        desk.unpack("bad", &bad).await,
        Code::InvalidArgument,
        "ARCHIVE_PATH_TRAVERSAL",
    );
    refused(desk.get("bad").await, Code::NotFound, "NOT_FOUND");
    let huge = proto::CreateUploadRequest {
        unpack: true,
        ..file("", 1 << 30)
    };
    refused(
        desk.begin(huge).await,
        Code::ResourceExhausted,
        "ARCHIVE_TOO_LARGE",
    );
}

/// E1: the archives that an import refuses are refused here, for the same reasons.
#[tokio::test]
async fn no_hostile_archive_changes_anything() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("d/kept", "as it was").await.expect("written");
    let cases = hostile_archives::all();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let before = everything(server.directory.path());
    for case in cases {
        let request = proto::CreateUploadRequest {
            unpack: true,
            ..file("d", case.bytes.len())
        };
        let upload = desk.begin(request).await.expect("begun");
        for (at, piece) in case.bytes.chunks(PIECE).enumerate() {
            let added = desk.add(&upload.id, at * PIECE, piece).await;
            added.expect("added");
        }
        let refusal = desk.finish(&upload.id).await.expect_err(case.name);
        assert_eq!(reason(&refusal), case.reason, "{}: {refusal:?}", case.name);
        assert!(
            refusal.message().contains(case.shows),
            "{}: {refusal:?}",
            case.name
        );
        desk.cancel(&upload.id).await;
        assert_eq!(everything(server.directory.path()), before, "{}", case.name);
    }
}

/// Every workspace, and what is in it.
fn everything(data: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut left = vec![data.join("workspaces")];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path.clone());
            }
            // What is prepared for things to come may stay.
            let is_empty_place = ["uploads", "staging"]
                .iter()
                .any(|name| path.ends_with(name));
            if !is_empty_place {
                found.insert(path.clone(), fs::read(path).ok());
            }
        }
    }
    found
}

#[tokio::test]
async fn at_most_a_thousand_uploads_are_open() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let uploads = on_disk(&server, &desk.workspace).with_file_name("uploads");
    let first = desk.begin(file("first", 1)).await.expect("begun");
    let note = std::fs::read(uploads.join(format!("{}.json", first.id))).expect("a note");
    for _ in 1..1_000 {
        let id = Uuid::new_v4();
        std::fs::write(uploads.join(id.to_string()), "").expect("a part");
        std::fs::write(uploads.join(format!("{id}.json")), &note).expect("a note");
    }
    refused(
        desk.begin(file("another", 1)).await,
        Code::ResourceExhausted,
        "UPLOADS",
    );
    desk.cancel(&first.id).await;
    desk.begin(file("another", 1)).await.expect("room again");
}

#[tokio::test]
async fn what_nobody_finished_or_brought_back_goes_in_time() {
    const HOUR: i64 = 3_600_000;
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let upload = desk.begin(file("file", 1)).await.expect("begun");
    desk.write("old", "x").await.expect("written");
    desk.delete("old").await.expect("deleted");
    let at = |time| Files::new(server.app.places.clone(), Clock::manual(time));
    let now = server.app.clock.now();
    let id = Uuid::parse_str(&upload.id).expect("an id");
    assert!(at(now + 23 * HOUR).upload(desk.id(), id).await.is_ok());
    assert!(at(now + 25 * HOUR).upload(desk.id(), id).await.is_err());
    at(now + 23 * HOUR).recover([desk.id()]);
    assert_eq!(desk.left(&server).len(), 2, "one file and one note");
    let trash = on_disk(&server, &desk.workspace).with_file_name("trash");
    at(now + 6 * 24 * HOUR).recover([desk.id()]);
    assert_eq!((desk.left(&server).len(), names_in(&trash).len()), (0, 1));
    at(now + 8 * 24 * HOUR).recover([desk.id()]);
    assert_eq!(names_in(&trash).len(), 0);
}

/// E7: memory is bounded by the size of a piece, since nothing larger is ever sent.
#[tokio::test(flavor = "multi_thread")]
async fn many_large_uploads_at_once_end_at_the_quota_and_leave_nothing() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let (size, piece) = (20 * PIECE, vec![7; PIECE]);
    // All but room for twenty uploads is taken.
    let taken = Amount {
        bytes: (10 << 30) - 20 * size as u64,
        entries: 0,
    };
    let files = &server.app.files;
    files
        .change(desk.id(), move |root| root.reserve(taken))
        .await
        .expect("room");
    let uploads = (0..20).map(|n| {
        let (desk, piece) = (&desk, &piece);
        async move {
            let upload = desk.begin(file(&format!("file-{n}"), size)).await?;
            for offset in (0..size).step_by(PIECE) {
                desk.add(&upload.id, offset, piece).await?;
            }
            desk.finish(&upload.id).await
        }
    });
    for finished in join_all(uploads).await {
        assert_eq!(finished.expect("finished").total_bytes, size as i64);
    }
    let over = desk.begin(file("over", 1)).await;
    refused(over, Code::ResourceExhausted, "QUOTA_BYTES");
    refused(
        desk.write("over", "x").await,
        Code::ResourceExhausted,
        "QUOTA_BYTES",
    );
    refused(
        desk.copy("file-0", "over").await,
        Code::ResourceExhausted,
        "QUOTA_BYTES",
    );
    let packed = archive(&[("over", "x")]);
    refused(
        desk.unpack("", &packed).await,
        Code::ResourceExhausted,
        "QUOTA_BYTES",
    );
    assert_eq!(desk.list("").await.expect("a list").len(), 20);
    assert!(desk.left(&server).is_empty(), "{:?}", desk.left(&server));
    // What was taken is only a number: when the tree is measured again, there is room.
    server.app.files.refresh(desk.id());
    desk.write("over", "x").await.expect("room again");
}

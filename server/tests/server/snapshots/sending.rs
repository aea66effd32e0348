//! Snapshots on their way: as archives, and blob by blob.

use std::fs;

use bytes::Bytes;
use membrane_files::store::Digest;
use membrane_proto::v1::{
    self as proto, import_snapshot_request::Part as ImportPart, snapshot_entry::Node,
};
use reqwest::{Client, StatusCode};
use tonic::Code;
use uuid::Uuid;

use super::{Desk, files_of, furnished};
use crate::fixture::{TestServer, reason};

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_a_snapshot_makes_the_same_snapshot() {
    let server = TestServer::start().await;
    let desk = furnished(&server, "user").await;
    let first = desk.take("first").await;
    let request = proto::ExportSnapshotRequest {
        workspace_id: desk.workspace.clone(),
        snapshot_id: first.id.clone(),
    };
    let answer = desk.user.snapshots().export_snapshot(request).await;
    let mut parts = answer.expect("an archive").into_inner();
    let mut archive = Vec::new();
    while let Some(part) = parts.message().await.expect("a part") {
        archive.extend_from_slice(&part.chunk);
    }

    let other = Desk::new(&server, "other").await;
    let header = ImportPart::Header(proto::SnapshotHeader {
        workspace_id: other.workspace.clone(),
        title: "received".to_owned(),
        ..Default::default()
    });
    let chunks = archive.chunks(1 << 20).map(Bytes::copy_from_slice);
    let parts: Vec<_> = [header]
        .into_iter()
        .chain(chunks.map(ImportPart::Chunk))
        .map(|part| proto::ImportSnapshotRequest { part: Some(part) })
        .collect();
    let answer = other
        .user
        .snapshots()
        .import_snapshot(tokio_stream::iter(parts))
        .await;
    let received = answer.expect("received").into_inner().snapshot;
    let received = received.expect("a snapshot");
    assert_eq!(received.tree_digest, first.tree_digest);
    assert_eq!(other.tree(), Vec::<String>::new());
    other.restore(&received, &[]).await.expect("restored");
    assert_eq!(other.take("").await.tree_digest, first.tree_digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_grpc_fetches_and_sends_snapshots() {
    let server = TestServer::start().await;
    let desk = furnished(&server, "user").await;
    let first = desk.take("first").await;
    let token = desk.user.authorization().expect("a token");
    let base = format!("/workspaces/{}/snapshots", desk.workspace);
    let get = Client::new().get(server.url(&format!("{base}/{}/archive", first.id)));
    let answer = get.header("authorization", token).send().await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "application/zip");
    let archive = answer.bytes().await.expect("an archive");
    let url = server.url(&format!("{base}/archive?title=sent&pinned=true"));
    let put = |body: Bytes| {
        let request = Client::new().put(&url).header("authorization", token);
        request.body(body).send()
    };
    let answer = put(archive).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::CREATED);
    let made: serde_json::Value = answer.json().await.expect("JSON");
    assert_eq!(made["tree_digest"], first.tree_digest.as_str());
    let listed = desk.list().await;
    assert_eq!(listed[0].id, made["snapshot_id"].as_str().expect("an id"));
    assert_eq!((listed[0].title.as_str(), listed[0].pinned), ("sent", true));
    let refused = put(Bytes::from_static(b"no archive"))
        .await
        .expect("an answer");
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(desk.list().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_missing_travels_and_every_digest_is_verified() {
    let server = TestServer::start().await;
    let desk = furnished(&server, "user").await;
    let first = desk.take("first").await;
    let entries = desk.manifest(&first).await;
    let files = files_of(&entries);
    let other = Desk::new(&server, "other").await;
    let missing = other.missing(files.clone()).await;
    assert_eq!(
        missing.len(),
        4,
        "another workspace's contents are unknown here"
    );
    assert!(desk.missing(files.clone()).await.is_empty());

    let lacking = other
        .commit(entries.clone(), "")
        .await
        .expect_err("nothing is there");
    assert_eq!(reason(&lacking), "MISSING_BLOB");
    let blobs = desk.download(&first, missing.clone()).await.expect("blobs");
    assert_eq!(blobs.len(), 4);
    for (digest, bytes) in &blobs {
        assert_eq!(Digest::of(bytes).to_string(), *digest);
    }
    let wrong = vec![(missing[0].clone(), b"something else".to_vec())];
    let refused = other.upload(wrong).await.expect_err("another digest");
    assert_eq!(reason(&refused), "DIGEST_MISMATCH");
    let large: Vec<_> = blobs
        .iter()
        .filter(|(_, bytes)| bytes.len() > 2 << 20)
        .collect();
    let mut spoilt = large[0].clone();
    spoilt.1[2_500_000] ^= 1;
    let refused = other.upload(vec![spoilt]).await.expect_err("spoilt");
    assert_eq!(reason(&refused), "DIGEST_MISMATCH");
    assert_eq!(other.upload(blobs).await.expect("stored"), 4);
    assert!(other.missing(files).await.is_empty());

    let request_id = Uuid::new_v4().to_string();
    let sent = other
        .commit(entries.clone(), &request_id)
        .await
        .expect("committed");
    assert_eq!(sent.tree_digest, first.tree_digest);
    let again = other.commit(entries, &request_id).await.expect("the same");
    assert_eq!(again.id, sent.id);
    other.restore(&sent, &[]).await.expect("restored");
    let mut expected = desk.tree();
    expected.retain(|line| !line.starts_with("node_modules"));
    assert_eq!(other.tree(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_make_no_tree_are_refused() {
    let server = TestServer::start().await;
    let desk = furnished(&server, "user").await;
    let first = desk.take("first").await;
    let file = files_of(&desk.manifest(&first).await).remove(0);
    let entry = |path: &str, node: Option<Node>| proto::SnapshotEntry {
        path: path.to_owned(),
        node,
    };
    let is_file = || Some(Node::File(file.clone()));
    let resized = proto::SnapshotFile {
        size: file.size + 1,
        ..file.clone()
    };
    let link = |target: &'static [u8]| {
        let target = Bytes::from_static(target);
        Some(Node::Link(proto::SnapshotLink { target }))
    };
    let bad = [
        vec![entry("", is_file())],
        vec![entry("../out", is_file())],
        vec![entry("/etc/passwd", is_file())],
        vec![entry("no/directory", is_file())],
        vec![entry("twice", is_file()), entry("twice", is_file())],
        vec![entry("a", is_file()), entry("a/b", is_file())],
        vec![entry("nothing", None)],
        vec![entry("link", link(b""))],
        vec![entry("link", link(b"a\0b"))],
    ];
    for entries in bad {
        let refused = desk.commit(entries.clone(), "").await;
        let refused = refused.expect_err("no tree");
        assert_eq!(refused.code(), Code::InvalidArgument, "{entries:?}");
    }
    let lying = desk
        .commit(vec![entry("lying", Some(Node::File(resized)))], "")
        .await;
    assert_eq!(reason(&lying.expect_err("another size")), "MISSING_BLOB");
    // A link may lead anywhere: it is the sandbox that ends there.
    let odd = desk
        .commit(vec![entry("odd", link(b"/etc/passwd"))], "")
        .await;
    let odd = odd.expect("a snapshot");
    desk.restore(&odd, &[]).await.expect("restored");
    let target = fs::read_link(desk.files.join("odd")).expect("a link");
    assert_eq!(target.to_str(), Some("/etc/passwd"));
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_of_another_snapshot_are_not_found() {
    let server = TestServer::start().await;
    let desk = furnished(&server, "user").await;
    let first = desk.take("first").await;
    desk.write("later", "only in the second");
    desk.take("second").await;
    let digest = Digest::of(b"only in the second").to_string();
    let unknown = desk
        .download(&first, vec![digest])
        .await
        .expect_err("not in it");
    assert_eq!(unknown.code(), Code::NotFound);
    let malformed = desk.download(&first, vec!["sha256:00".to_owned()]).await;
    assert_eq!(
        malformed.expect_err("no digest").code(),
        Code::InvalidArgument
    );
}

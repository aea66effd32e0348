//! A run's files, blob by blob: what it begins with, and what it made.

use std::collections::HashMap;

use bytes::Bytes;
use membrane_files::store::Digest;
use membrane_proto::v1::{
    self as proto, ApplyState, RunOutcome, commit_run_result_request::Part as CommitPart,
    snapshot_entry::Node, upload_run_blobs_request::Part as BlobPart,
};
use tonic::{Code, Status};

use super::{Desk, claim, finish, start};
use crate::{
    fixture::{Caller, TestServer, reason},
    runs,
};

async fn manifest(runner: &Caller, lease: &proto::RunLease) -> Vec<proto::SnapshotEntry> {
    let request = proto::ReadRunManifestRequest {
        lease: Some(lease.clone()),
    };
    let answer = runner.runs().read_run_manifest(request).await;
    let mut pages = answer.expect("a manifest").into_inner();
    let mut entries = Vec::new();
    while let Some(page) = pages.message().await.expect("no error") {
        entries.extend(page.entries);
    }
    entries
}

async fn download(
    runner: &Caller,
    lease: &proto::RunLease,
    digests: Vec<String>,
) -> Result<HashMap<String, Vec<u8>>, Status> {
    let request = proto::DownloadRunBlobsRequest {
        lease: Some(lease.clone()),
        digests,
    };
    let mut parts = runner
        .runs()
        .download_run_blobs(request)
        .await?
        .into_inner();
    let (mut blobs, mut current) = (HashMap::<String, Vec<u8>>::new(), String::new());
    while let Some(part) = parts.message().await? {
        if !part.digest.is_empty() {
            current = part.digest;
        }
        blobs
            .entry(current.clone())
            .or_default()
            .extend_from_slice(&part.data);
    }
    Ok(blobs)
}

async fn missing(runner: &Caller, lease: &proto::RunLease, text: &[u8]) -> Vec<String> {
    let request = proto::FindMissingRunBlobsRequest {
        lease: Some(lease.clone()),
        files: vec![described(text)],
    };
    let answer = runner.runs().find_missing_run_blobs(request).await;
    answer.expect("an answer").into_inner().digests
}

async fn upload(
    runner: &Caller,
    lease: &proto::RunLease,
    digest: &str,
    text: &'static [u8],
) -> Result<i32, Status> {
    let parts = [
        BlobPart::Lease(lease.clone()),
        BlobPart::Digest(digest.to_owned()),
        BlobPart::Data(Bytes::from_static(text)),
    ];
    let parts = parts.map(|part| proto::UploadRunBlobsRequest { part: Some(part) });
    let mut runs = runner.runs();
    let answer = runs.upload_run_blobs(tokio_stream::iter(parts)).await?;
    Ok(answer.into_inner().blob_count)
}

async fn commit(
    runner: &Caller,
    lease: &proto::RunLease,
    entries: Vec<proto::SnapshotEntry>,
) -> Result<String, Status> {
    let parts = [
        CommitPart::Lease(lease.clone()),
        CommitPart::Entries(proto::SnapshotEntries { entries }),
    ];
    let parts = parts.map(|part| proto::CommitRunResultRequest { part: Some(part) });
    let mut runs = runner.runs();
    let answer = runs.commit_run_result(tokio_stream::iter(parts)).await?;
    Ok(answer.into_inner().snapshot_id)
}

fn described(text: &[u8]) -> proto::SnapshotFile {
    proto::SnapshotFile {
        digest: Digest::of(text).to_string(),
        size: i64::try_from(text.len()).expect("few"),
        executable: false,
    }
}

fn entry(path: &str, text: &[u8]) -> proto::SnapshotEntry {
    proto::SnapshotEntry {
        path: path.to_owned(),
        node: Some(Node::File(described(text))),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_new_travels_and_the_result_is_applied() {
    const NEW: &[u8] = b"made by the run";
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("kept", "as it is");
    desk.write("changed", "as it was");
    desk.queue("changes one file").await;
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    start(&desk.runner, &lease).await.expect("started");
    let begins = manifest(&desk.runner, &lease).await;
    let paths: Vec<_> = begins.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["changed", "kept"]);
    let digest = Digest::of(b"as it was").to_string();
    let blobs = download(&desk.runner, &lease, vec![digest.clone()]).await;
    assert_eq!(blobs.expect("blobs")[&digest], b"as it was");

    assert!(missing(&desk.runner, &lease, b"as it is").await.is_empty());
    let lacking = missing(&desk.runner, &lease, NEW).await;
    assert_eq!(lacking, [Digest::of(NEW).to_string()]);
    let made = vec![entry("kept", b"as it is"), entry("changed", NEW)];
    let early = commit(&desk.runner, &lease, made.clone()).await;
    assert_eq!(reason(&early.expect_err("refused")), "MISSING_BLOB");
    let spoilt = upload(&desk.runner, &lease, &lacking[0], b"something else").await;
    assert_eq!(reason(&spoilt.expect_err("refused")), "DIGEST_MISMATCH");
    let sent = upload(&desk.runner, &lease, &lacking[0], NEW).await;
    assert_eq!(sent.expect("stored"), 1);
    let result = commit(&desk.runner, &lease, made).await.expect("committed");
    let ended = finish(&desk.runner, &lease, RunOutcome::Succeeded).await;
    let ended = ended.expect("ended");
    assert_eq!(ended.result_snapshot_id, result);
    assert_eq!(ended.apply_state(), ApplyState::Applied);
    assert_eq!(desk.read("changed"), "made by the run");
    assert_eq!(desk.read("kept"), "as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_gets_nothing_but_what_its_run_begins_with() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("file", "before");
    desk.queue("one").await;
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    desk.write("file", "a secret since");
    desk.queue("another").await;
    let since = Digest::of(b"a secret since").to_string();
    let refused = download(&desk.runner, &lease, vec![since]).await;
    assert_eq!(refused.expect_err("refused").code(), Code::NotFound);
    let other = runs::runner(&server, None).await;
    let stale = download(&other, &lease, Vec::new()).await;
    assert_eq!(reason(&stale.expect_err("refused")), "STALE_LEASE");
}

//! A3 and F9: every method of runners, with every lease that does not hold, and every token that is
//! not a runner's.

use bytes::Bytes;
use membrane_proto::v1::{
    self as proto, RunOutcome, upload_run_result_request::Part as UploadPart,
};
use membrane_server::authz::RUNNER_METHODS;
use prost::Message as _;
use tonic::Code;

use super::{Desk, claim, finish, heartbeat, runner, start, tell};
use crate::{
    fixture::{Caller, TestServer, reason},
    wire,
};

/// Each method of runners with a request that shows a lease.
fn calls(lease: &proto::RunLease) -> Vec<(&'static str, Bytes)> {
    let lease = || Some(lease.clone());
    let upload = UploadPart::Lease(lease().expect("a lease"));
    let bytes: [(&str, Vec<u8>); 11] = [
        (
            "StartRun",
            proto::StartRunRequest { lease: lease() }.encode_to_vec(),
        ),
        (
            "HeartbeatRun",
            proto::HeartbeatRunRequest { lease: lease() }.encode_to_vec(),
        ),
        (
            "DownloadRunBase",
            proto::DownloadRunBaseRequest { lease: lease() }.encode_to_vec(),
        ),
        (
            "AppendRunEvents",
            proto::AppendRunEventsRequest {
                lease: lease(),
                first_number: 1,
                events: Vec::new(),
            }
            .encode_to_vec(),
        ),
        (
            "ReadRunManifest",
            proto::ReadRunManifestRequest { lease: lease() }.encode_to_vec(),
        ),
        (
            "DownloadRunBlobs",
            proto::DownloadRunBlobsRequest {
                lease: lease(),
                digests: Vec::new(),
            }
            .encode_to_vec(),
        ),
        (
            "FindMissingRunBlobs",
            proto::FindMissingRunBlobsRequest {
                lease: lease(),
                files: Vec::new(),
            }
            .encode_to_vec(),
        ),
        (
            "UploadRunBlobs",
            proto::UploadRunBlobsRequest {
                part: lease().map(proto::upload_run_blobs_request::Part::Lease),
            }
            .encode_to_vec(),
        ),
        (
            "CommitRunResult",
            proto::CommitRunResultRequest {
                part: lease().map(proto::commit_run_result_request::Part::Lease),
            }
            .encode_to_vec(),
        ),
        (
            "UploadRunResult",
            proto::UploadRunResultRequest { part: Some(upload) }.encode_to_vec(),
        ),
        (
            "FinishRun",
            proto::FinishRunRequest {
                lease: lease(),
                outcome: RunOutcome::Succeeded.into(),
                message: String::new(),
            }
            .encode_to_vec(),
        ),
    ];
    bytes
        .into_iter()
        .map(|(name, bytes)| (name, bytes.into()))
        .collect()
}

async fn refused(runner: &Caller, lease: &proto::RunLease, code: Code, why: &str, case: &str) {
    for (method, request) in calls(lease) {
        let path = format!("/membrane.v1.RunService/{method}");
        let answer = wire::call(runner, &path, vec![request]).await;
        let status = answer.expect_err(case);
        assert_eq!(status.code(), code, "{method}: {case}");
        assert_eq!(reason(&status), why, "{method}: {case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_method_of_runners_works_with_a_lease_that_does_not_hold() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let stale = "STALE_LEASE";
    let all = calls(&proto::RunLease::default());
    for path in RUNNER_METHODS {
        let name = path.rsplit('/').next().expect("a name");
        let listed = name == "ClaimRun" || all.iter().any(|(method, _)| *method == name);
        assert!(listed, "{name} is not in the matrix of fences");
    }

    let run = desk.queue("one").await;
    desk.queue("two").await;
    let (_, first) = claim(&desk.runner).await.expect("a run");
    let (_, second) = claim(&desk.runner).await.expect("another run");
    let runner_of_all = &desk.runner;
    let swapped = proto::RunLease {
        token: second.token.clone(),
        ..first.clone()
    };
    refused(
        runner_of_all,
        &swapped,
        Code::FailedPrecondition,
        stale,
        "another run's token",
    )
    .await;
    let without = proto::RunLease {
        token: String::new(),
        ..first.clone()
    };
    refused(
        runner_of_all,
        &without,
        Code::FailedPrecondition,
        stale,
        "no token",
    )
    .await;
    let later = proto::RunLease {
        attempt: 2,
        ..first.clone()
    };
    refused(
        runner_of_all,
        &later,
        Code::FailedPrecondition,
        stale,
        "another attempt",
    )
    .await;
    let colleague = runner(&server, None).await;
    refused(
        &colleague,
        &first,
        Code::FailedPrecondition,
        stale,
        "another runner's lease",
    )
    .await;
    let elsewhere = runner(&server, Some(&desk.user.new_workspace().await)).await;
    refused(
        &elsewhere,
        &first,
        Code::NotFound,
        "NOT_FOUND",
        "a runner of another workspace",
    )
    .await;
    let unknown = proto::RunLease {
        run_id: uuid::Uuid::new_v4().to_string(),
        ..first.clone()
    };
    refused(
        runner_of_all,
        &unknown,
        Code::NotFound,
        "NOT_FOUND",
        "no such run",
    )
    .await;

    let before = desk.get(&run).await;
    finish(runner_of_all, &first, RunOutcome::Succeeded)
        .await
        .expect("ended");
    refused(
        runner_of_all,
        &first,
        Code::FailedPrecondition,
        stale,
        "a finished run",
    )
    .await;
    finish(runner_of_all, &second, RunOutcome::Cancelled)
        .await
        .expect("ended");
    refused(
        runner_of_all,
        &second,
        Code::FailedPrecondition,
        stale,
        "a cancelled run",
    )
    .await;
    assert_eq!(before.attempt, desk.get(&run).await.attempt);
    assert_eq!(
        desk.log(&run).await,
        ["QUEUED 0 ", "CLAIMED 1 ", "SUCCEEDED 1 "]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_runner_token_stops_at_once() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.queue("one").await;
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    start(&desk.runner, &lease).await.expect("started");
    let administrator = server.administrator("administrator").await;
    let mut client = administrator.runs();
    let listed = client
        .list_runner_tokens(proto::ListRunnerTokensRequest {})
        .await;
    let tokens = listed.expect("tokens").into_inner().runner_tokens;
    assert!(tokens[0].last_use_time.is_some());
    let delete = proto::DeleteRunnerTokenRequest {
        runner_token_id: tokens[0].id.clone(),
    };
    client.delete_runner_token(delete).await.expect("deleted");
    let late = heartbeat(&desk.runner, &lease).await.expect_err("revoked");
    assert_eq!(late.code(), Code::Unauthenticated);
    let late = tell(&desk.runner, &lease, 1, &["late"])
        .await
        .expect_err("revoked");
    assert_eq!(late.code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_token_opens_a_runners_methods_and_nothing_else() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let administrator = server.administrator("administrator").await;
    let create = proto::CreateRunnerTokenRequest {
        name: "pool".to_owned(),
        workspace_id: String::new(),
    };
    let made = administrator.runs().create_runner_token(create).await;
    let secret = made.expect("made").into_inner().secret;
    let runner = Caller::stranger(&server.channel, Some(&format!("Bearer {secret}")));
    assert!(claim(&runner).await.is_none());
    let list = proto::ListWorkspacesRequest::default();
    let refused = runner.workspaces().list_workspaces(list).await;
    assert_eq!(
        refused.expect_err("a user's").code(),
        Code::PermissionDenied
    );
    let claim = proto::ClaimRunRequest {
        runner_name: "no runner".to_owned(),
        ..Default::default()
    };
    let refused = desk.user.runs().claim_run(claim.clone()).await;
    assert_eq!(
        refused.expect_err("a runner's").code(),
        Code::PermissionDenied
    );
    let nobody = Caller::stranger(&server.channel, None);
    let refused = nobody.runs().claim_run(claim).await;
    assert_eq!(refused.expect_err("nobody's").code(), Code::Unauthenticated);
}

//! Runs that are run again, and how many may be at work at once.

use membrane_proto::v1::{self as proto, RunOutcome, RunState};
use tonic::Status;
use uuid::Uuid;

use super::{Desk, claim, finish, spec, start};
use crate::fixture::{TestServer, reason};

async fn retry(
    desk: &Desk,
    run: &proto::Run,
    current_files: bool,
    request_id: &str,
) -> Result<proto::Run, Status> {
    let request = proto::RetryRunRequest {
        run_id: run.id.clone(),
        current_files,
        request_id: request_id.to_owned(),
    };
    let answer = desk.user.runs().retry_run(request).await?;
    Ok(answer.into_inner().run.expect("a run"))
}

/// A run that has failed.
async fn failed(desk: &Desk) -> proto::Run {
    let wanted = proto::RunSpec {
        labels: [("gpu".to_owned(), "none".to_owned())].into(),
        priority: 7,
        apply_mode: proto::ApplyMode::Manual.into(),
        ..spec("try this")
    };
    desk.create(wanted).await.expect("queued");
    let (run, lease) = super::claim_with(&desk.runner, &[("gpu", "none")])
        .await
        .expect("a run");
    start(&desk.runner, &lease).await.expect("started");
    let ended = finish(&desk.runner, &lease, RunOutcome::Failed).await;
    assert_eq!(ended.expect("ended").state(), RunState::Failed);
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_repeated_as_it_was() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("file", "as it was");
    let run = failed(&desk).await;
    desk.write("file", "as it is now");
    let again = retry(&desk, &run, false, "").await.expect("queued");
    assert_ne!(again.id, run.id);
    assert_eq!(again.retry_of_run_id, run.id);
    assert_eq!(again.state(), RunState::Queued);
    assert_eq!((again.spec, again.attempt), (run.spec.clone(), 0));
    // The other one stays as it is.
    assert_eq!(desk.get(&run).await.state(), RunState::Failed);
    let other = retry(&desk, &run, true, "").await.expect("queued");
    let base = |run: &proto::Run| run.spec.clone().expect("a spec").base_snapshot_id;
    assert_ne!(base(&other), base(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_repeated_once_however_often_it_is_asked_for() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let run = failed(&desk).await;
    let id = Uuid::new_v4().to_string();
    let first = retry(&desk, &run, true, &id).await.expect("queued");
    let second = retry(&desk, &run, true, &id).await.expect("the same");
    assert_eq!(first.id, second.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_files_are_gone_is_repeated_on_those_that_are_there() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let run = failed(&desk).await;
    let request = proto::DeleteSnapshotRequest {
        workspace_id: desk.workspace.clone(),
        snapshot_id: run.spec.clone().expect("a spec").base_snapshot_id,
    };
    let deleted = desk.user.snapshots().delete_snapshot(request).await;
    deleted.expect("deleted");
    let refused = retry(&desk, &run, false, "").await.expect_err("refused");
    assert_eq!(reason(&refused), "FILES_GONE");
    retry(&desk, &run, true, "").await.expect("queued");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_has_no_more_runs_at_work_than_it_may() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    limit(&desk, 2).await.expect("set");
    for number in 0..4 {
        desk.queue(&format!("{number}")).await;
    }
    let (_, first) = claim(&desk.runner).await.expect("one");
    claim(&desk.runner).await.expect("two");
    assert!(claim(&desk.runner).await.is_none(), "more than it may");
    start(&desk.runner, &first).await.expect("started");
    let ended = finish(&desk.runner, &first, RunOutcome::Succeeded).await;
    ended.expect("ended");
    claim(&desk.runner).await.expect("another one");
    assert!(claim(&desk.runner).await.is_none(), "more than it may");
    limit(&desk, 0).await.expect("set");
    claim(&desk.runner).await.expect("any number");
    let refused = limit(&desk, -1).await.expect_err("refused");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}

/// As many claims at once as there are runs: no two of them take the last place.
#[tokio::test(flavor = "multi_thread")]
async fn claims_at_once_do_not_go_over_the_limit() {
    const RUNS: usize = 12;
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    limit(&desk, 3).await.expect("set");
    for number in 0..RUNS {
        desk.queue(&format!("{number}")).await;
    }
    let claims = (0..RUNS).map(|_| {
        let runner = desk.runner.clone();
        tokio::spawn(async move { claim(&runner).await })
    });
    let claimed = futures::future::join_all(claims).await;
    let claimed = claimed
        .into_iter()
        .filter_map(|claim| claim.expect("no panic"));
    assert_eq!(claimed.count(), 3);
}

async fn limit(desk: &Desk, max_concurrent_runs: i32) -> Result<(), Status> {
    let request = proto::UpdateWorkspaceRequest {
        workspace: Some(proto::Workspace {
            id: desk.workspace.clone(),
            settings: Some(proto::WorkspaceSettings {
                max_concurrent_runs,
                ..Default::default()
            }),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["settings.max_concurrent_runs".to_owned()],
        }),
        ..Default::default()
    };
    desk.user
        .workspaces()
        .update_workspace(request)
        .await
        .map(drop)
}

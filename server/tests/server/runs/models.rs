//! The model as a runner asks it for a run: who may, and on whose account.

use membrane_proto::v1::{self as proto, RunOutcome};
use reqwest::{Client, StatusCode};
use serde_json::json;

use super::{Desk, claim, finish, revoke_all, runner, start, strangers};
use crate::fixture::{Caller, TestServer};

const PATHS: [&str; 3] = ["v1/messages", "v1/messages/count_tokens", "v1/models"];

/// Asks for an attempt with a token.
async fn ask(server: &TestServer, lease: &proto::RunLease, path: &str, token: &str) -> StatusCode {
    let proto::RunLease {
        run_id, attempt, ..
    } = lease;
    let url = server.url(&format!("/runs/{run_id}/attempts/{attempt}/{path}"));
    let body = json!({
        "model": "scripted",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "!say Hello."}],
    });
    let request = match path {
        "v1/models" => Client::new().get(url),
        _ => Client::new().post(url).json(&body),
    };
    let answer = request.header("x-api-key", token).send().await;
    answer.expect("an answer").status()
}

/// Every path answers alike.
async fn ask_all(server: &TestServer, lease: &proto::RunLease, token: &str) -> StatusCode {
    let mut answers = Vec::new();
    for path in PATHS {
        answers.push(ask(server, lease, path, token).await);
    }
    assert!(answers.iter().all(|one| *one == answers[0]), "{answers:?}");
    answers[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_the_lease_asks_and_the_run_pays() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let run = desk.queue("think").await;
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    start(&desk.runner, &lease).await.expect("started");
    assert_eq!(ask_all(&server, &lease, &lease.token).await, StatusCode::OK);
    let used = desk.get(&run).await.usage.expect("usage");
    assert_eq!(used.requests, 1, "counting tokens and listing cost nothing");
    assert!(used.output_tokens > 0, "{used:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_asks() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.queue("one").await;
    desk.queue("two").await;
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    let (_, other) = claim(&desk.runner).await.expect("another");
    for (why, lease, token) in strangers(&server, &desk, &lease, &other).await {
        let answer = ask_all(&server, &lease, &token).await;
        assert_eq!(answer, StatusCode::UNAUTHORIZED, "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_over_asks_nothing() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.queue("one").await;
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    start(&desk.runner, &lease).await.expect("started");
    assert_eq!(ask_all(&server, &lease, &lease.token).await, StatusCode::OK);
    let ended = finish(&desk.runner, &lease, RunOutcome::Succeeded).await;
    ended.expect("ended");
    let answer = ask_all(&server, &lease, &lease.token).await;
    assert_eq!(answer, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_runner_asks_nothing() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let revoked = runner(&server, None).await;
    desk.queue("one").await;
    let (_, lease) = claim(&revoked).await.expect("a run");
    assert_eq!(ask_all(&server, &lease, &lease.token).await, StatusCode::OK);
    revoke_all(&server).await;
    let answer = ask_all(&server, &lease, &lease.token).await;
    assert_eq!(answer, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_over_all_attempts() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    limit_requests(&desk.user, &desk.workspace, 2).await;
    desk.queue("one").await;
    let (_, first) = claim(&desk.runner).await.expect("a run");
    let messages = PATHS[0];
    assert_eq!(
        ask(&server, &first, messages, &first.token).await,
        StatusCode::OK
    );
    finish(&desk.runner, &first, RunOutcome::Retry)
        .await
        .expect("once more");
    // Another attempt begins after a pause.
    let request = proto::ClaimRunRequest {
        runner_name: "a runner".to_owned(),
        wait: std::time::Duration::from_secs(20).try_into().ok(),
        ..Default::default()
    };
    let claimed = desk.runner.runs().claim_run(request).await;
    let second = claimed
        .expect("an answer")
        .into_inner()
        .lease
        .expect("a lease");
    assert_eq!(
        ask(&server, &second, messages, &second.token).await,
        StatusCode::OK
    );
    let answer = ask(&server, &second, messages, &second.token).await;
    assert_eq!(answer, StatusCode::FORBIDDEN);
}

async fn limit_requests(user: &Caller, workspace: &str, max_requests: i64) {
    let request = proto::GetWorkspaceRequest {
        workspace_id: workspace.to_owned(),
    };
    let answer = user.workspaces().get_workspace(request).await;
    let found = answer.expect("a workspace").into_inner().workspace;
    let mut found = found.expect("a workspace");
    let settings = found.settings.get_or_insert_default();
    settings.limits = Some(proto::UsageLimits {
        max_requests,
        ..Default::default()
    });
    let request = proto::UpdateWorkspaceRequest {
        workspace: Some(found),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["settings.limits".to_owned()],
        }),
        ..Default::default()
    };
    user.workspaces()
        .update_workspace(request)
        .await
        .expect("updated");
}

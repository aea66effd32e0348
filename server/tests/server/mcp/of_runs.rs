//! In runs, where the server is asked over HTTP with the token of a lease.

use membrane_proto::v1::RunOutcome;
use membrane_server::authz::Role;
use reqwest::{Client, Method, StatusCode};

use super::*;
use crate::runs::{Desk, claim, finish, revoke_all, runner, start, strangers};

/// Sends a JSON-RPC request to an attempt, and answers what came back.
async fn send(
    server: &TestServer,
    lease: &proto::RunLease,
    token: &str,
    method: &str,
    params: Value,
) -> (StatusCode, Value) {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = Client::new()
        .post(url(server, lease))
        .bearer_auth(token)
        .header("accept", "application/json, text/event-stream")
        .json(&body)
        .send()
        .await
        .expect("an answer");
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

fn url(server: &TestServer, lease: &proto::RunLease) -> String {
    let path = format!("/runs/{}/attempts/{}/mcp", lease.run_id, lease.attempt);
    server.url(&path)
}

/// Calls a tool with the lease's own token.
pub async fn call(
    server: &TestServer,
    lease: &proto::RunLease,
    tool: &str,
    arguments: Value,
) -> (String, bool) {
    let params = json!({ "name": tool, "arguments": arguments });
    let (status, answer) = send(server, lease, &lease.token, "tools/call", params).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let result = &answer["result"];
    let text = result["content"][0]["text"].as_str().expect("text");
    (text.to_owned(), result["isError"] == true)
}

async fn status(server: &TestServer, lease: &proto::RunLease, token: &str) -> StatusCode {
    send(server, lease, token, "tools/list", json!({})).await.0
}

/// A run at work.
async fn at_work(desk: &Desk) -> proto::RunLease {
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    start(&desk.runner, &lease).await.expect("started");
    lease
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_the_lease_calls_tools_as_the_user_of_the_run() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.queue("plan").await;
    let lease = at_work(&desk).await;
    let (_, listed) = send(&server, &lease, &lease.token, "tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().expect("tools").clone();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, membrane_server::mcp::TOOLS.map(Some));
    for tool in &tools {
        let schema = &tool["inputSchema"];
        assert_eq!(schema["type"], "object", "{tool}");
        let fields = schema["properties"].as_object().expect("fields");
        let described = |field: &Value| {
            field["description"]
                .as_str()
                .is_some_and(|it| it.len() > 10)
        };
        assert!(fields.values().all(described), "{tool}");
        let required = schema["required"].as_array().expect("a list");
        let is_field = |name: &Value| fields.contains_key(name.as_str().expect("a name"));
        assert!(required.iter().all(is_field), "{tool}");
    }
    let (made, is_error) = call(&server, &lease, "create_schedule", nightly()).await;
    assert!(!is_error, "{made}");
    let stored = schedules(&desk.user, &desk.workspace).await;
    assert_eq!(stored[0].user_id, desk.user.id.to_string());
    assert!(stored[0].by_agent);
    let permitted = permitted_to_agents(&server.app).await;
    assert_eq!(permitted, ["ManageSchedules"]);
    // Other methods of HTTP have no meaning here.
    for method in [Method::GET, Method::DELETE] {
        let request = Client::new().request(method, url(&server, &lease));
        let answer = request.bearer_auth(&lease.token).send().await;
        let status = answer.expect("an answer").status();
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_calls() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.queue("one").await;
    desk.queue("two").await;
    let lease = at_work(&desk).await;
    let other = at_work(&desk).await;
    for (why, lease, token) in strangers(&server, &desk, &lease, &other).await {
        let answer = status(&server, &lease, &token).await;
        assert_eq!(answer, StatusCode::UNAUTHORIZED, "{why}");
    }
    assert_eq!(status(&server, &lease, &lease.token).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_over_calls_nothing() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.queue("one").await;
    let lease = at_work(&desk).await;
    assert_eq!(status(&server, &lease, &lease.token).await, StatusCode::OK);
    let ended = finish(&desk.runner, &lease, RunOutcome::Succeeded).await;
    ended.expect("ended");
    let answer = status(&server, &lease, &lease.token).await;
    assert_eq!(answer, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_runner_calls_nothing() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let revoked = runner(&server, None).await;
    desk.queue("one").await;
    let (_, lease) = claim(&revoked).await.expect("a run");
    assert_eq!(status(&server, &lease, &lease.token).await, StatusCode::OK);
    revoke_all(&server).await;
    let answer = status(&server, &lease, &lease.token).await;
    assert_eq!(answer, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workspace_is_refused_and_written_down() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let other = desk.user.new_workspace().await;
    let plan = schedule(&desk.user, &other).await;
    desk.queue("one").await;
    let lease = at_work(&desk).await;
    let (text, is_error) = call(
        &server,
        &lease,
        "list_schedules",
        json!({ "workspace_id": other }),
    )
    .await;
    assert!(is_error && text.contains(&desk.workspace), "{text}");
    let change = json!({ "schedule_id": plan.id, "enabled": false });
    let answer = call(&server, &lease, "update_schedule", change).await;
    assert_eq!(answer, ("schedule not found".to_owned(), true));
    assert!(schedules(&desk.user, &other).await[0].enabled);
    let place = format!("workspaces/{other}");
    let expected = [("ReadSchedules", &place), ("ManageSchedules", &place)];
    let expected = expected.map(|(operation, place)| (operation.to_owned(), place.clone()));
    assert_eq!(refused_elsewhere(&server.app).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_lost_their_rights_gets_nothing_through_their_run() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let owner = server.administrator("owner").await;
    server.set_role(&desk.workspace, &owner, Role::Owner).await;
    desk.queue("one").await;
    let lease = at_work(&desk).await;
    server
        .set_role(&desk.workspace, &desk.user, Role::Viewer)
        .await;
    let (text, is_error) = call(&server, &lease, "create_run", json!({ "prompt": "x" })).await;
    assert!(is_error && text.contains("your role"), "{text}");
    let (text, is_error) = call(&server, &lease, "list_runs", json!({})).await;
    assert!(!is_error, "viewers may read: {text}");
    let disabled = server
        .app
        .database
        .update_user(desk.user.id, Some(true), None);
    disabled.await.expect("disabled");
    let (text, is_error) = call(&server, &lease, "list_runs", json!({})).await;
    assert!(
        is_error && text.contains("may not use the server"),
        "{text}"
    );
    assert_eq!(runs(&owner, &desk.workspace).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_that_the_run_is_not_allowed_are_not_there_whoever_calls() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let settings = proto::WorkspaceSettings {
        allowed_tools: vec!["Read".to_owned(), "mcp__membrane__list_runs".to_owned()],
        ..Default::default()
    };
    set(&desk.user, &desk.workspace, "allowed_tools", settings).await;
    desk.queue("one").await;
    let lease = at_work(&desk).await;
    let (_, listed) = send(&server, &lease, &lease.token, "tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().expect("tools");
    assert_eq!(tools.len(), 1, "{listed}");
    let (text, is_error) = call(&server, &lease, "list_runs", json!({})).await;
    assert!(!is_error, "{text}");
    let (text, is_error) = call(&server, &lease, "create_run", json!({ "prompt": "x" })).await;
    assert!(
        is_error && text.contains("do not allow this tool"),
        "{text}"
    );
    assert_eq!(runs(&desk.user, &desk.workspace).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_call_is_refused_without_words_of_the_inside() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.queue("one").await;
    let lease = at_work(&desk).await;
    let (text, is_error) = call(&server, &lease, "drop_tables", json!({})).await;
    assert!(is_error && text.contains("no tool named"), "{text}");
    let params = json!({ "name": 7 });
    let (status, _) = send(&server, &lease, &lease.token, "tools/call", params).await;
    assert!(
        status.is_client_error() || status == StatusCode::OK,
        "{status}"
    );
    let request = Client::new()
        .post(url(&server, &lease))
        .bearer_auth(&lease.token);
    let answer = request.body("nonsense").send().await.expect("an answer");
    assert!(answer.status().is_client_error(), "{answer:?}");
}

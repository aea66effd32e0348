//! In live sessions, where the server is in the same process as the engine.

use membrane_proto::v1::{self as proto, PermissionDecision, event_payload::Kind};
use membrane_scripted::{Options, Scenario, Server};
use membrane_server::authz::Role;
use serde_json::{Value, json};

use super::*;
use crate::turns::result_of;

/// Says these lines in a new session and answers what the tools answered.
async fn play(user: &Caller, workspace: &str, lines: &[String]) -> Vec<(String, bool)> {
    let session = user.new_session(workspace).await;
    user.say(&session, &lines.join("\n")).await.expect("sent");
    user.until_turn_ended(&session, 1).await;
    result_of(&user.history(&session).await)
}

async fn call(user: &Caller, workspace: &str, tool: &str, input: Value) -> (String, bool) {
    let results = play(user, workspace, &[line(tool, &input)]).await;
    results.into_iter().next().expect("a result")
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_manages_schedules_and_runs_of_its_workspace() {
    let server = TestServer::start().await;
    let (user, workspace) = workspace(&server, "user").await;
    let (made, is_error) = call(&user, &workspace, "create_schedule", nightly()).await;
    assert!(!is_error, "{made}");
    let made = read(&made);
    assert_eq!(made["next_times"].as_array().map(Vec::len), Some(5));
    let id = made["id"].as_str().expect("an id");
    let stored = schedules(&user, &workspace).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].id, id);
    assert_eq!(stored[0].user_id, user.id.to_string());
    assert!(stored[0].by_agent && stored[0].enabled);

    let change =
        json!({ "schedule_id": id, "enabled": false, "prompt": "!say Better.", "cron": "@hourly" });
    let lines = [
        line("update_schedule", &change),
        line("run_schedule", &json!({ "schedule_id": id })),
        line(
            "create_run",
            &json!({ "prompt": "!say Hello.", "title": "once", "timeout_seconds": 60 }),
        ),
        line(
            "list_runs",
            &json!({ "states": ["queued"], "workspace_id": workspace }),
        ),
    ];
    let results = play(&user, &workspace, &lines).await;
    assert!(results.iter().all(|(_, is_error)| !is_error), "{results:?}");
    let changed = &schedules(&user, &workspace).await[0];
    let spec = changed.spec.clone().expect("a spec");
    assert_eq!((changed.cron.as_str(), changed.enabled), ("@hourly", false));
    assert_eq!(spec.prompt, "!say Better.");
    assert_eq!(spec.timeout.map(|timeout| timeout.seconds), Some(3_600));
    let listed = read(&results[3].0);
    let titles = listed["runs"].as_array().expect("runs").iter();
    let titles: Vec<_> = titles
        .map(|run| run["title"].as_str().expect("a title"))
        .collect();
    assert_eq!(titles, ["once", "nightly"]);
    assert!(runs(&user, &workspace).await.iter().all(|run| run.by_agent));

    let run = &listed["runs"][0]["id"];
    let lines = [
        line("cancel_run", &json!({ "run_id": run })),
        line("get_run", &json!({ "run_id": run })),
        line("delete_schedule", &json!({ "schedule_id": id })),
        line("list_schedules", &json!({})),
    ];
    let results = play(&user, &workspace, &lines).await;
    assert_eq!(read(&results[1].0)["state"], "cancelled");
    assert_eq!(read(&results[1].0)["prompt"], "!say Hello.");
    assert_eq!(read(&results[3].0)["schedules"], json!([]));
    let mut permitted = permitted_to_agents(&server.app).await;
    permitted.sort_unstable();
    let expected = [
        "CancelRun",
        "CreateRun",
        "CreateRun",
        "ManageSchedules",
        "ManageSchedules",
        "ManageSchedules",
    ];
    assert_eq!(permitted, expected);
    assert!(refused_elsewhere(&server.app).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workspace_is_refused_and_written_down_also_where_the_user_may_work() {
    let server = TestServer::start().await;
    let (user, own) = workspace(&server, "user").await;
    let other = user.new_workspace().await;
    let run = queue(&user, &other).await;
    let plan = schedule(&user, &other).await;
    let elsewhere = json!({ "prompt": "!say Hello.", "workspace_id": other });
    let lines = [
        line("create_run", &elsewhere),
        line("list_runs", &json!({ "workspace_id": "nonsense" })),
        line("get_run", &json!({ "run_id": run.id })),
        line("cancel_run", &json!({ "run_id": run.id })),
        line("get_run", &json!({ "run_id": uuid::Uuid::new_v4() })),
        line("get_run", &json!({ "run_id": "nonsense" })),
        line("delete_schedule", &json!({ "schedule_id": plan.id })),
        line("run_schedule", &json!({ "schedule_id": plan.id })),
        line(
            "run_schedule",
            &json!({ "schedule_id": uuid::Uuid::new_v4() }),
        ),
        line("list_runs", &json!({ "schedule_id": plan.id })),
        line("list_runs", &json!({ "schedule_id": uuid::Uuid::new_v4() })),
    ];
    let mut results = play(&user, &own, &lines).await;
    let unknown = results.pop().expect("a list");
    assert_eq!(
        results.pop(),
        Some(unknown.clone()),
        "existence does not leak"
    );
    assert!(
        unknown.0.contains(r#""runs":[]"#) && !unknown.1,
        "{unknown:?}"
    );
    assert!(results.iter().all(|(_, is_error)| *is_error), "{results:?}");
    for (text, _) in &results[..2] {
        assert!(
            text.contains(&own) && text.contains("leave workspace_id out"),
            "{text}"
        );
    }
    let words = results[2..].iter().map(|(text, _)| text.as_str());
    let words: Vec<_> = words.collect();
    assert_eq!(words[..4], ["run not found"; 4], "existence does not leak");
    assert_eq!(
        words[4..],
        ["schedule not found"; 3],
        "existence does not leak"
    );
    assert!(runs(&user, &own).await.is_empty());
    assert!(!runs(&user, &other).await[0].cancel_requested);
    assert_eq!(schedules(&user, &other).await.len(), 1);
    let place = format!("workspaces/{other}");
    let expected = [
        ("CreateRun", place.clone()),
        ("ReadRuns", format!("workspaces/{}", uuid::Uuid::nil())),
        ("ReadRuns", format!("runs/{}", run.id)),
        ("CancelRun", format!("runs/{}", run.id)),
        ("ManageSchedules", place.clone()),
        ("CreateRun", place.clone()),
        ("ReadRuns", place),
    ];
    let expected = expected.map(|(operation, resource)| (operation.to_owned(), resource));
    assert_eq!(refused_elsewhere(&server.app).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_call_is_explained() {
    let server = TestServer::start().await;
    let (user, workspace) = workspace(&server, "user").await;
    let made = schedule(&user, &workspace).await;
    let table = [
        ("create_run", json!({}), "missing field `prompt`"),
        (
            "create_run",
            json!({ "prompt": "x", "priority": 9 }),
            "unknown field `priority`",
        ),
        (
            "create_run",
            json!({ "prompt": " " }),
            "spec.prompt: must have",
        ),
        (
            "create_run",
            json!({ "prompt": "x", "timeout_seconds": 0 }),
            "spec.timeout",
        ),
        (
            "list_runs",
            json!({ "states": ["busy"] }),
            "unknown variant `busy`",
        ),
        (
            "create_schedule",
            json!({ "cron": "never", "time_zone": "UTC", "prompt": "x" }),
            "schedule.cron",
        ),
        (
            "create_schedule",
            json!({ "cron": "@daily", "time_zone": "Mars", "prompt": "x" }),
            "schedule.time_zone",
        ),
        (
            "update_schedule",
            json!({ "schedule_id": made.id }),
            "what is to change",
        ),
    ];
    let lines: Vec<_> = table
        .iter()
        .map(|(tool, input, _)| line(tool, input))
        .collect();
    let results = play(&user, &workspace, &lines).await;
    for ((tool, input, words), (text, is_error)) in table.iter().zip(&results) {
        assert!(*is_error && text.contains(words), "{tool} {input}: {text}");
    }
    assert_eq!(results.len(), table.len());
    assert!(runs(&user, &workspace).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_asks_unless_the_workspace_says_otherwise_and_the_user_may_have_lost_the_right() {
    let server = TestServer::start().await;
    let owner = server.user("owner").await;
    let workspace = owner.new_workspace().await;
    let editor = server.user("editor").await;
    server.set_role(&workspace, &editor, Role::Editor).await;
    for (role, decision) in [
        (Role::Editor, PermissionDecision::Deny),
        (Role::Editor, PermissionDecision::Allow),
        (Role::Viewer, PermissionDecision::Allow),
    ] {
        let session = editor.new_session(&workspace).await;
        let wanted = line("create_run", &json!({ "prompt": "x" }));
        editor.say(&session, &wanted).await.expect("sent");
        let is_question = |kind: &Kind| matches!(kind, Kind::PermissionRequested(_));
        let asked = owner.until(&session, is_question).await;
        let Some(Kind::PermissionRequested(asked)) = asked.payload.and_then(|it| it.kind) else {
            panic!("not a question");
        };
        assert_eq!(asked.tool_name, "mcp__membrane__create_run");
        server.set_role(&workspace, &editor, role).await;
        let request = proto::ResolvePermissionRequest {
            session_id: session.clone(),
            permission_request_id: asked.permission_request_id,
            decision: decision.into(),
            reason: String::new(),
        };
        let answered = owner.sessions().resolve_permission(request).await;
        answered.expect("answered");
        owner.until_turn_ended(&session, 1).await;
        let (text, is_error) = &result_of(&owner.history(&session).await)[0];
        let works = role == Role::Editor && decision == PermissionDecision::Allow;
        assert_eq!(!is_error, works, "{text}");
        if role == Role::Viewer {
            assert!(text.contains("your role"), "{text}");
        }
    }
    let made = runs(&owner, &workspace).await;
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].user_id, editor.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_tools_decides_what_is_offered() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let scenario: Scenario =
        serde_json::from_value(json!({ "otherwise": "puppet" })).expect("a scenario");
    let model = Server::bind(([127, 0, 0, 1], 0).into(), scenario, Options::default());
    let model = model.await.expect("a model");
    let workspace = crate::providers::workspace_with(&user, &model.base_url(), "a-key").await;
    let offered = async |tools: &[&str]| -> Vec<String> {
        let settings = proto::WorkspaceSettings {
            allowed_tools: tools.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        set(&user, &workspace, "allowed_tools", settings).await;
        let session = user.new_session(&workspace).await;
        user.say(&session, "!say Hello.").await.expect("sent");
        user.until_turn_ended(&session, 1).await;
        assert!(notices(&user.history(&session).await).is_empty());
        let body = model.requests().pop().expect("a request").body;
        let tools = body["tools"].as_array().cloned().unwrap_or_default();
        let name = |tool: &Value| tool["name"].as_str().expect("a name").to_owned();
        tools.iter().map(name).collect()
    };
    let all = offered(&["Read", "mcp__membrane__*"]).await;
    let names = membrane_server::mcp::TOOLS.map(|tool| format!("mcp__membrane__{tool}"));
    assert_eq!(all[0], "Read");
    assert_eq!(all[1..], names);
    let one = offered(&["mcp__membrane__list_runs"]).await;
    assert_eq!(one, ["mcp__membrane__list_runs"]);
    assert_eq!(offered(&["Read"]).await, ["Read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_changes_schemas_is_offered_none_and_that_is_told() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let base_url = "http://nowhere.openrouter.ai:9/api";
    let workspace = crate::providers::workspace_with(&user, base_url, "a-key").await;
    let session = user.new_session(&workspace).await;
    user.say(&session, "!say Hello.").await.expect("sent");
    let is_told = |kind: &Kind| matches!(kind, Kind::Notice(it) if it.reason == "MCP_UNSUPPORTED");
    user.until(&session, is_told).await;
    let request = proto::InterruptSessionRequest {
        session_id: session,
    };
    let interrupted = user.sessions().interrupt_session(request).await;
    interrupted.expect("interrupted");
}

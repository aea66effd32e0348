//! The built-in MCP server: an agent's own runs and schedules as tools, and nobody else's.

use membrane_proto::v1::{self as proto, event_payload::Kind};
use membrane_server::server::App;
use serde_json::{Value, json};

use crate::fixture::{Caller, TestServer};

mod limits;
mod of_runs;
mod of_sessions;

/// A line that makes the scripted model call a tool of the server.
fn line(tool: &str, input: &Value) -> String {
    let call = json!({ "name": format!("mcp__membrane__{tool}"), "input": input });
    format!("!json {call}")
}

/// A schedule as an agent would make it.
fn nightly() -> Value {
    json!({
        "cron": "0 3 * * *",
        "time_zone": "Europe/Zurich",
        "prompt": "!say Good night.",
        "title": "nightly",
    })
}

async fn schedules(user: &Caller, workspace: &str) -> Vec<proto::Schedule> {
    let request = proto::ListSchedulesRequest {
        workspace_id: workspace.to_owned(),
    };
    let answer = user.schedules().list_schedules(request).await;
    answer.expect("a list").into_inner().schedules
}

/// Made by a person.
async fn schedule(user: &Caller, workspace: &str) -> proto::Schedule {
    let request = proto::CreateScheduleRequest {
        workspace_id: workspace.to_owned(),
        schedule: Some(proto::Schedule {
            cron: "0 3 * * *".to_owned(),
            time_zone: "UTC".to_owned(),
            spec: Some(crate::runs::spec("a secret plan")),
            enabled: true,
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer = user.schedules().create_schedule(request).await;
    let made = answer.expect("made").into_inner().schedule;
    made.expect("a schedule")
}

async fn runs(user: &Caller, workspace: &str) -> Vec<proto::Run> {
    let request = proto::ListRunsRequest {
        workspace_id: workspace.to_owned(),
        ..Default::default()
    };
    let answer = user.runs().list_runs(request).await;
    answer.expect("a list").into_inner().runs
}

async fn queue(user: &Caller, workspace: &str) -> proto::Run {
    let request = proto::CreateRunRequest {
        workspace_id: workspace.to_owned(),
        spec: Some(crate::runs::spec("a secret plan")),
        ..Default::default()
    };
    let answer = user.runs().create_run(request).await;
    answer.expect("queued").into_inner().run.expect("a run")
}

/// What an agent was refused because it is another workspace's: operation and resource.
async fn refused_elsewhere(app: &App) -> Vec<(String, String)> {
    let rows = app.database.audit_rows().await.expect("rows");
    let refused = rows
        .into_iter()
        .filter(|row| row.outcome == "other_workspace");
    refused
        .inspect(|row| assert_eq!(row.credential, "agent"))
        .map(|row| (row.operation, row.resource))
        .collect()
}

/// What an agent was permitted: the operations.
async fn permitted_to_agents(app: &App) -> Vec<String> {
    let rows = app.database.audit_rows().await.expect("rows");
    let permitted = rows
        .into_iter()
        .filter(|row| row.credential == "agent" && row.outcome == "permitted");
    permitted.map(|row| row.operation).collect()
}

/// Sets one field of a workspace's settings.
async fn set(user: &Caller, workspace: &str, field: &str, settings: proto::WorkspaceSettings) {
    let request = proto::UpdateWorkspaceRequest {
        workspace: Some(proto::Workspace {
            id: workspace.to_owned(),
            settings: Some(settings),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec![format!("settings.{field}")],
        }),
        ..Default::default()
    };
    let updated = user.workspaces().update_workspace(request).await;
    updated.expect("an update");
}

/// The reasons of the notices in a session's log.
fn notices(events: &[proto::Event]) -> Vec<String> {
    let notices =
        events
            .iter()
            .filter_map(|event| match event.payload.as_ref()?.kind.as_ref()? {
                Kind::Notice(notice) => Some(notice.reason.clone()),
                _ => None,
            });
    notices.collect()
}

/// A user with a workspace whose agent may do everything without asking.
async fn workspace(server: &TestServer, name: &str) -> (Caller, String) {
    let user = server.user(name).await;
    let workspace = user.new_workspace().await;
    user.bypass_permissions(&workspace).await;
    (user, workspace)
}

//! The broker where programs meet it: in the sandbox of a turn.

use membrane_proto::v1::{self as proto, LimitKind, TurnOutcome, Usage, event_payload::Kind};
use membrane_scripted::{Handle, Scenario};

use crate::{
    fixture::{Caller, TestServer},
    providers::{KEY, model, workspace_with},
};

/// Asks once, streaming, and prints what came. With another token, if one is given.
const ASK: &str = r#"cat > ask.py <<'PROGRAM'
import json, os, sys, urllib.error, urllib.request
token = sys.argv[1] if len(sys.argv) > 1 else os.environ["ANTHROPIC_API_KEY"]
body = {"model": "scripted", "max_tokens": 100, "stream": True,
        "messages": [{"role": "user", "content": "!say Said to a program."}]}
request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages",
    json.dumps(body).encode(), {"x-api-key": token, "content-type": "application/json"})
try:
    for line in urllib.request.urlopen(request):
        print(line.decode(), end="")
except urllib.error.HTTPError as error:
    print("status", error.code, error.read().decode())
PROGRAM
"#;

/// A message that lets the agent run this, after it has written the program.
fn asking(command: &str) -> String {
    format!("!bash <<SCRIPT\n{ASK}{command}\nSCRIPT")
}

struct World {
    server: TestServer,
    model: Handle,
    user: Caller,
}

impl World {
    async fn new() -> Self {
        let server = TestServer::start().await;
        Self {
            model: model(Scenario::puppet()).await,
            user: server.user("user").await,
            server,
        }
    }

    async fn workspace(&self, settings: proto::WorkspaceSettings) -> String {
        let workspace = workspace_with(&self.user, &self.model.base_url(), KEY).await;
        self.user.bypass_permissions(&workspace).await;
        let request = proto::UpdateWorkspaceRequest {
            workspace: Some(proto::Workspace {
                id: workspace.clone(),
                settings: Some(settings),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: ["model_access", "limits", "environment"]
                    .map(|field| format!("settings.{field}"))
                    .into(),
            }),
            ..Default::default()
        };
        let updated = self.user.workspaces().update_workspace(request).await;
        updated.expect("an update");
        workspace
    }

    /// A workspace whose programs may ask the model.
    async fn open_workspace(&self) -> String {
        let settings = proto::WorkspaceSettings {
            model_access: true,
            ..Default::default()
        };
        self.workspace(settings).await
    }

    /// Plays a turn, and answers how it ended.
    async fn play(&self, session: &str, text: &str) -> proto::TurnEnded {
        let before = self.ends(session).await;
        self.user.say(session, text).await.expect("sent");
        self.user.until_turn_ended(session, before + 1).await
    }

    async fn ends(&self, session: &str) -> usize {
        let kinds = self.kinds(session).await;
        let ends = kinds
            .iter()
            .filter(|kind| matches!(kind, Kind::TurnEnded(_)));
        ends.count()
    }

    async fn kinds(&self, session: &str) -> Vec<Kind> {
        let events = self.user.history(session).await.into_iter();
        events.filter_map(|event| event.payload?.kind).collect()
    }

    /// What the last command printed.
    async fn printed(&self, session: &str) -> String {
        let kinds = self.kinds(session).await;
        let results = kinds.iter().rev().find_map(|kind| match kind {
            Kind::ToolResult(result) => Some(format!("{:?}", result.content)),
            _ => None,
        });
        results.expect("a result")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_asks_with_a_token_and_never_sees_the_key() {
    let world = World::new().await;
    let workspace = world.open_workspace().await;
    let session = world.user.new_session(&workspace).await;
    let text = asking("python3 ask.py; env; cat /proc/self/environ /proc/1/environ 2>&1");
    let ended = world.play(&session, &text).await;
    assert_eq!(ended.outcome(), TurnOutcome::Completed, "{ended:?}");
    let printed = world.printed(&session).await;
    assert!(printed.contains("message_stop"), "{printed}");
    assert!(
        printed.contains("ANTHROPIC_BASE_URL=http://127.0.0.1:"),
        "{printed}"
    );

    let arrived = world.model.requests();
    assert_eq!(arrived.len(), 3, "two of the agent, one of the program");
    assert!(arrived.iter().all(|one| one.headers["x-api-key"] == KEY));
    assert!(arrived.iter().any(|one| !one.body["tools"].is_array()));

    let kinds = world.kinds(&session).await;
    assert!(!format!("{kinds:?}").contains(KEY));
    let inside = kinds.iter().find_map(|kind| match kind {
        Kind::InsideRequest(request) => Some(request),
        _ => None,
    });
    let inside = inside.expect("it is told of");
    assert!(kinds.iter().any(|kind| {
        matches!(kind, Kind::ToolCall(call) if call.tool_call_id == inside.tool_call_id)
    }));
    let usage = ended.usage.expect("usage");
    assert_eq!(usage.requests, 3, "the turn's total holds all");
    let parts = kinds.iter().filter_map(|kind| match kind {
        Kind::ModelUsage(used) => used.usage,
        Kind::InsideRequest(used) => used.usage,
        _ => None,
    });
    let output: i64 = parts.map(|usage: Usage| usage.output_tokens).sum();
    assert_eq!(usage.output_tokens, output);
    let request = proto::GetSessionRequest {
        session_id: session.clone(),
    };
    let row = world.user.sessions().get_session(request).await;
    let row = row.expect("a session").into_inner().session.expect("one");
    assert_eq!(row.usage, Some(usage));

    let canary = KEY.as_bytes();
    for file in files_below(&world.server.directory.path().join("workspaces")) {
        let content = std::fs::read(&file).expect("a file");
        let found = content.windows(canary.len()).any(|part| part == canary);
        assert!(!found, "{}", file.display());
    }
}

fn files_below(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let entry = entry.expect("an entry");
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_there_is_nothing_inside() {
    let world = World::new().await;
    let workspace = world.workspace(proto::WorkspaceSettings::default()).await;
    let session = world.user.new_session(&workspace).await;
    world.play(&session, "!bash env; cat /proc/net/tcp").await;
    let printed = world.printed(&session).await;
    assert!(!printed.contains("ANTHROPIC"), "{printed}");
    // No socket listens.
    assert!(!printed.contains(" 0A "), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspaces_variables_do_not_lead_programs_elsewhere() {
    let world = World::new().await;
    let variable = proto::EnvironmentVariable {
        name: "ANTHROPIC_BASE_URL".to_owned(),
        value: "http://127.0.0.1:1".to_owned(),
    };
    let settings = proto::WorkspaceSettings {
        model_access: true,
        environment: vec![variable],
        ..Default::default()
    };
    let workspace = world.workspace(settings).await;
    let session = world.user.new_session(&workspace).await;
    world.play(&session, &asking("python3 ask.py")).await;
    assert!(world.printed(&session).await.contains("message_stop"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_dies_with_its_turn_and_is_good_in_no_other_session() {
    let world = World::new().await;
    let workspace = world.open_workspace().await;
    let session = world.user.new_session(&workspace).await;
    let keep = asking("echo $ANTHROPIC_API_KEY > token; python3 ask.py $(cat token)");
    world.play(&session, &keep).await;
    assert!(world.printed(&session).await.contains("message_stop"));
    let again = "!bash python3 ask.py $(cat token)";
    let other = world.user.new_session(&workspace).await;
    for session in [&session, &other] {
        world.play(session, again).await;
        let printed = world.printed(session).await;
        assert!(printed.contains("status 401"), "{printed}");
        world.play(session, "!bash python3 ask.py").await;
        assert!(world.printed(session).await.contains("message_stop"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_of_another_session_can_not_be_reached() {
    let world = World::new().await;
    let open = world.open_workspace().await;
    let closed = world.workspace(proto::WorkspaceSettings::default()).await;
    let owner = world.user.new_session(&open).await;
    let stranger = world.user.new_session(&closed).await;
    let text =
        "!bash echo url=$ANTHROPIC_BASE_URL.; touch there; while [ -e there ]; do sleep 0.1; done";
    world.user.say(&owner, text).await.expect("sent");
    let place = world.server.directory.path().join("workspaces").join(&open);
    let there = place.join("files/there");
    for _ in 0..600 {
        if there.exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(there.exists(), "the owner's command runs");
    let port = membrane_agent::model::inside::PORT;
    let probe = format!(
        "!bash python3 -c 'import socket; print(socket.create_connection((\"127.0.0.1\", {port}), 5))' 2>&1 | tail -1"
    );
    world.play(&stranger, &probe).await;
    let printed = world.printed(&stranger).await;
    assert!(printed.contains("Connection refused"), "{printed}");
    std::fs::remove_file(there).expect("removed");
    world.user.until_turn_ended(&owner, 1).await;
    assert!(
        world
            .printed(&owner)
            .await
            .contains(&format!("url=http://127.0.0.1:{port}."))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_and_programs_share_a_sessions_limits_and_a_restart_forgets_nothing() {
    let world = World::new().await;
    let settings = proto::WorkspaceSettings {
        model_access: true,
        limits: Some(proto::UsageLimits {
            max_requests: 4,
            ..Default::default()
        }),
        ..Default::default()
    };
    let workspace = world.workspace(settings).await;
    let session = world.user.new_session(&workspace).await;
    let text = asking("for i in 1 2 3 4 5; do python3 ask.py; done");
    let ended = world.play(&session, &text).await;
    // One of the agent and three of the program; then the agent has none left.
    assert_eq!(ended.outcome(), TurnOutcome::LimitReached);
    assert_eq!(ended.error.expect("a reason").reason, "LIMIT_REQUESTS");
    assert_eq!(ended.usage.expect("usage").requests, 4);
    let printed = world.printed(&session).await;
    assert!(printed.contains("LIMIT_REQUESTS"), "{printed}");
    let kinds = world.kinds(&session).await;
    let met: Vec<bool> = kinds
        .iter()
        .filter_map(|kind| match kind {
            Kind::LimitMet(met) if met.kind() == LimitKind::Requests => Some(met.inside),
            _ => None,
        })
        .collect();
    assert_eq!(met, [true, false]);
    assert_eq!(world.model.requests().len(), 4);
    let request = proto::ListActivityRequest {
        workspace_id: workspace.clone(),
        filter: proto::ActivityFilter::Limits.into(),
        ..Default::default()
    };
    let activity = world.user.activity().list_activity(request).await;
    let entries = activity.expect("activity").into_inner().entries;
    assert_eq!(entries.len(), 2, "{entries:?}");

    let World { server, model, .. } = world;
    let server = TestServer::start_in(server.stop().await).await;
    let user = server.user("another").await;
    server
        .set_role(&workspace, &user, membrane_server::authz::Role::Editor)
        .await;
    user.say(&session, "hello").await.expect("sent");
    let ended = user.until_turn_ended(&session, 2).await;
    assert_eq!(ended.outcome(), TurnOutcome::LimitReached);
    assert_eq!(model.requests().len(), 4, "nothing was sent");
}

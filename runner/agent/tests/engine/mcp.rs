//! Tools of MCP servers in a turn. The servers are played, by hand: they know the protocol of 2025 and
//! nothing of our library.

use std::sync::{Arc, Mutex};

use membrane_agent::{
    PermissionMode, TurnSpec,
    egress::EgressGuard,
    mcp::{McpServer, Transport},
};
use membrane_proto::v1::{PermissionDecision, TurnOutcome, event_payload::Kind};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex},
    net::TcpListener,
    task::JoinHandle,
};

use crate::{
    played::Played,
    stage::{Do, Seen, Stage, puppet},
};

/// What a played server does when a tool is called.
#[derive(Clone, Copy)]
enum Plays {
    /// Answers.
    Answer,
    /// Answers with an error of the protocol.
    Refuse,
    /// Closes the connection.
    HangUp,
    /// Says nothing.
    Wait,
}

/// A server with a tool `shout`, and the methods that it was asked for.
struct Server {
    pipe: Option<DuplexStream>,
    seen: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Server {
    fn new(plays: Plays) -> Self {
        let (pipe, served) = duplex(1 << 16);
        let seen = Arc::<Mutex<Vec<String>>>::default();
        Self {
            pipe: Some(pipe),
            serving: tokio::spawn(serve(served, plays, seen.clone())),
            seen,
        }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }

    /// Puts it into a turn whose agent may call its tools.
    fn join(&mut self, spec: &mut TurnSpec) {
        spec.mcp_servers.push(McpServer {
            name: "loud".to_owned(),
            transport: Transport::InProcess(self.pipe.take().expect("used once")),
        });
        spec.allowed_tools.push("mcp__loud__*".to_owned());
    }
}

async fn serve(pipe: DuplexStream, plays: Plays, seen: Arc<Mutex<Vec<String>>>) {
    let (read, mut write) = tokio::io::split(pipe);
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).expect("JSON");
        let method = message["method"].as_str().unwrap_or_default();
        seen.lock().expect("no panic").push(method.to_owned());
        let Some(id) = message.get("id") else {
            continue;
        };
        let answer = match method {
            "tools/call" => match plays {
                Plays::Answer => json!({ "result": shouted(&message["params"]) }),
                Plays::Refuse => json!({ "error": { "code": -32602, "message": "not so loud" } }),
                Plays::HangUp => return,
                Plays::Wait => continue,
            },
            "initialize" => json!({ "result": {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "loud", "version": "1" },
            } }),
            "tools/list" => json!({ "result": { "tools": [tool("shout"), tool("no.name")] } }),
            _ => json!({ "error": { "code": -32601, "message": "Method not found" } }),
        };
        let mut answer = answer;
        answer["jsonrpc"] = json!("2.0");
        answer["id"] = id.clone();
        let line = format!("{answer}\n");
        if write.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn tool(name: &str) -> Value {
    json!({
        "name": name,
        "description": "Says it loudly.",
        "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
    })
}

fn shouted(params: &Value) -> Value {
    assert_eq!(params["name"], "shout");
    let text = params["arguments"]["text"].as_str().expect("text");
    json!({ "content": [{ "type": "text", "text": text.to_uppercase() }], "isError": false })
}

const SHOUT: &str = r#"!json {"name": "mcp__loud__shout", "input": {"text": "hello"}}"#;

/// Plays a turn with a server.
async fn play(stage: &mut Stage, server: &mut Server, text: &str) -> Played {
    stage
        .play_with(text, |spec| server.join(spec), |_| Do::Nothing)
        .await
}

fn results(played: &Played) -> Vec<(String, bool)> {
    let results = played.events.iter().filter_map(|kind| match kind {
        Kind::ToolResult(result) => Some((format!("{:?}", result.content), result.is_error)),
        _ => None,
    });
    results.collect()
}

fn notices(played: &Played) -> Vec<&str> {
    let notices = played.events.iter().filter_map(|kind| match kind {
        Kind::Notice(notice) => Some(notice.reason.as_str()),
        _ => None,
    });
    notices.collect()
}

/// Names of the tools that the newest request offered.
fn offered(stage: &Stage) -> Vec<String> {
    let body = stage.last_body();
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    let name = |tool: &Value| tool["name"].as_str().expect("a name").to_owned();
    tools.iter().map(name).collect()
}

#[tokio::test]
async fn tools_of_a_server_are_offered_and_called_and_told_as_all_others() {
    let mut stage = Stage::new(puppet()).await;
    let mut server = Server::new(Plays::Answer);
    let played = play(&mut stage, &mut server, SHOUT).await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    let [(text, false)] = &results(&played)[..] else {
        panic!("{played:?}", played = played.read());
    };
    assert!(text.contains("HELLO"), "{text}");
    let calls = played.events.iter().filter_map(|kind| match kind {
        Kind::ToolCall(call) => Some(call.name.as_str()),
        _ => None,
    });
    assert_eq!(calls.collect::<Vec<_>>(), ["mcp__loud__shout"]);
    let offered = offered(&stage);
    let of_servers: Vec<_> = offered
        .iter()
        .filter(|name| name.starts_with("mcp__"))
        .collect();
    assert_eq!(
        of_servers,
        ["mcp__loud__shout"],
        "what no model could say is left out"
    );
    server.serving.await.expect("it ends with the turn");
}

#[tokio::test]
async fn a_call_asks_unless_nothing_does() {
    for (mode, decision, runs) in [
        (PermissionMode::Default, PermissionDecision::Allow, true),
        (PermissionMode::AcceptEdits, PermissionDecision::Deny, false),
    ] {
        let mut stage = Stage::new(puppet()).await;
        let mut server = Server::new(Plays::Answer);
        let change = |spec: &mut TurnSpec| {
            server.join(spec);
            spec.permission_mode = mode;
        };
        let answer = |seen: Seen<'_>| match seen {
            Seen::Ask => Do::Answer(decision, ""),
            _ => Do::Nothing,
        };
        let played = stage.play_with(SHOUT, change, answer).await;
        assert_eq!(played.asks[0].tool_name, "mcp__loud__shout");
        assert_eq!(results(&played)[0].1, !runs);
        let called = server.seen().contains(&"tools/call".to_owned());
        assert_eq!(called, runs, "{mode:?}");
    }
}

#[tokio::test]
async fn a_server_of_which_nothing_is_allowed_is_not_asked_and_its_tools_are_not_called() {
    let mut stage = Stage::new(puppet()).await;
    let mut server = Server::new(Plays::Answer);
    let change = |spec: &mut TurnSpec| {
        server.join(spec);
        spec.allowed_tools = vec!["Read".to_owned(), "mcp__other__*".to_owned()];
    };
    let played = stage.play_with(SHOUT, change, |_| Do::Nothing).await;
    assert_eq!(offered(&stage), ["Read"]);
    let [(text, true)] = &results(&played)[..] else {
        panic!("{:?}", played.read());
    };
    assert!(text.contains("There is no tool named"), "{text}");
    assert!(notices(&played).is_empty());
    assert!(server.seen().is_empty(), "{:?}", server.seen());
}

#[tokio::test]
async fn what_a_server_refuses_is_told_in_its_words() {
    let mut stage = Stage::new(puppet()).await;
    let mut server = Server::new(Plays::Refuse);
    let played = play(&mut stage, &mut server, SHOUT).await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    let (text, is_error) = &results(&played)[0];
    assert!(*is_error && text.contains("not so loud"), "{text}");
}

#[tokio::test]
async fn a_connection_that_dies_in_a_call_is_an_error_of_the_tool_and_the_turn_goes_on() {
    let mut stage = Stage::new(puppet()).await;
    let mut server = Server::new(Plays::HangUp);
    let lines = format!("{SHOUT}\n{SHOUT}\n!write a.txt after it");
    let played = play(&mut stage, &mut server, &lines).await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    let results = results(&played);
    assert_eq!(results.len(), 3, "{results:?}");
    for (text, is_error) in &results[..2] {
        assert!(*is_error && text.contains("nobody knows"), "{text}");
    }
    assert!(!results[2].1, "{results:?}");
}

#[tokio::test]
async fn an_interrupt_does_not_wait_for_a_server() {
    let mut stage = Stage::new(puppet()).await;
    let mut server = Server::new(Plays::Wait);
    let seen = server.seen.clone();
    let cancel = stage.cancel.clone();
    tokio::spawn(async move {
        let is_called = || {
            seen.lock()
                .expect("no panic")
                .contains(&"tools/call".to_owned())
        };
        while !is_called() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    });
    let played = play(&mut stage, &mut server, SHOUT).await;
    assert_eq!(played.report.outcome, TurnOutcome::Interrupted);
    let (text, is_error) = &results(&played)[0];
    assert!(*is_error && text.contains("before the interrupt"), "{text}");
}

#[tokio::test]
async fn a_server_that_is_not_there_takes_its_tools_from_the_turn_and_nothing_else() {
    let mut stage = Stage::new(puppet()).await;
    // Nobody listens there any more.
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    let change = |spec: &mut TurnSpec| {
        spec.mcp_servers.push(McpServer {
            name: "gone".to_owned(),
            transport: Transport::Http {
                url: format!("http://{address}/mcp"),
                token: "token".to_owned().into(),
                guard: EgressGuard::new(vec!["127.0.0.1".parse().expect("a rule")]),
            },
        });
        spec.allowed_tools.push("mcp__gone__*".to_owned());
    };
    let played = stage
        .play_with("!write a.txt x", change, |_| Do::Nothing)
        .await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    assert_eq!(notices(&played), ["MCP_UNAVAILABLE"]);
    assert!(!offered(&stage).iter().any(|name| name.starts_with("mcp__")));
    assert!(!results(&played)[0].1);
}

#[tokio::test]
async fn a_provider_that_can_not_have_them_is_offered_none_and_that_is_told_once() {
    let mut stage = Stage::new(puppet()).await;
    for told in [&["MCP_UNSUPPORTED"][..], &[]] {
        let mut server = Server::new(Plays::Answer);
        let change = |spec: &mut TurnSpec| {
            server.join(spec);
            spec.takes_mcp = false;
        };
        let played = stage
            .play_with("!say Hello.", change, |_| Do::Nothing)
            .await;
        assert_eq!(notices(&played), told);
        assert!(!offered(&stage).iter().any(|name| name.starts_with("mcp__")));
        assert!(server.seen().is_empty());
    }
}

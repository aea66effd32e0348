//! Tools of MCP servers in a turn. The servers are played, by hand: they know the protocol of 2025 and
//! nothing of our library.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use membrane_agent::{
    PermissionMode, TurnSpec,
    egress::EgressGuard,
    mcp::{McpServer, Transport},
};
use membrane_proto::v1::{PermissionDecision, TurnOutcome, event_payload::Kind};
use serde_json::{Value, json};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream,
        duplex,
    },
    net::{TcpListener, TcpStream},
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
        match (method, plays) {
            ("tools/call", Plays::HangUp) => return,
            ("tools/call", Plays::Wait) => continue,
            _ => {}
        }
        let Some(answer) = answer(&message, plays) else {
            continue;
        };
        let line = format!("{answer}\n");
        if write.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// What a server says to a message, if it wants an answer.
fn answer(message: &Value, plays: Plays) -> Option<Value> {
    let id = message.get("id")?;
    let mut answer = match message["method"].as_str().unwrap_or_default() {
        "tools/call" if matches!(plays, Plays::Refuse) => {
            json!({ "error": { "code": -32602, "message": "not so loud" } })
        }
        "tools/call" => json!({ "result": shouted(&message["params"]) }),
        "initialize" => json!({ "result": {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "loud", "version": "1" },
        } }),
        "tools/list" => json!({ "result": { "tools": [tool("shout"), tool("no.name")] } }),
        _ => json!({ "error": { "code": -32601, "message": "Method not found" } }),
    };
    answer["jsonrpc"] = json!("2.0");
    answer["id"] = id.clone();
    Some(answer)
}

/// The same over HTTP, one request a connection. The first call of a tool gets no answer.
async fn serve_http(listener: TcpListener) {
    let mut calls = 0;
    while let Ok((mut connection, _)) = listener.accept().await {
        let message = read_request(&mut connection).await;
        let is_call = message["method"] == "tools/call";
        calls += usize::from(is_call);
        if is_call && calls == 1 {
            continue;
        }
        let answer = match answer(&message, Plays::Answer) {
            Some(answer) => format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.to_string().len()
            ),
            None => {
                "HTTP/1.1 202 Accepted\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
        };
        let written = connection.write_all(answer.as_bytes()).await;
        written.expect("a client that listens");
    }
}

async fn read_request(connection: &mut TcpStream) -> Value {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    let mut is_authorized = false;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).await.expect("a line");
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        is_authorized |= line == "authorization: bearer a-token";
    }
    assert!(is_authorized, "every request shows the token");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.expect("a body");
    serde_json::from_slice(&body).unwrap_or_default()
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

/// Puts a server at this address into a turn.
fn at(address: SocketAddr, spec: &mut TurnSpec) {
    spec.mcp_servers.push(McpServer {
        name: "loud".to_owned(),
        transport: Transport::Http {
            url: format!("http://{address}/mcp"),
            token: "a-token".to_owned().into(),
            guard: EgressGuard::new(vec!["127.0.0.1".parse().expect("a rule")]),
        },
    });
    spec.allowed_tools.push("mcp__loud__*".to_owned());
}

#[tokio::test]
async fn over_http_the_next_call_finds_the_server_again() {
    let mut stage = Stage::new(puppet()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = tokio::spawn(serve_http(listener));
    let lines = format!("{SHOUT}\n{SHOUT}");
    let played = stage
        .play_with(&lines, |spec| at(address, spec), |_| Do::Nothing)
        .await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    let results = results(&played);
    let [(lost, true), (found, false)] = &results[..] else {
        panic!("{results:?}");
    };
    assert!(lost.contains("nobody knows"), "{lost}");
    assert!(found.contains("HELLO"), "{found}");
    assert!(notices(&played).is_empty());
    assert!(!serving.is_finished(), "no request was wrong");
    serving.abort();
}

#[tokio::test]
async fn a_server_that_is_not_there_takes_its_tools_from_the_turn_and_nothing_else() {
    let mut stage = Stage::new(puppet()).await;
    // Nobody listens there any more.
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    let played = stage
        .play_with("!write a.txt x", |spec| at(address, spec), |_| Do::Nothing)
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

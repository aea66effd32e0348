//! Servers that do not speak the Messages API as it is meant, or at all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use membrane_agent::model::{ModelClient, ModelLimits};
use membrane_proto::v1::TurnOutcome;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    played::Played,
    stage::{Stage, config_at, puppet},
};

const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// Bounds that are small enough to be reached.
fn bounds() -> ModelLimits {
    ModelLimits {
        idle_timeout: Duration::from_secs(60),
        line_bytes_max: 64 << 10,
        stream_bytes_max: 512 << 10,
        body_bytes_max: 16 << 10,
        ..ModelLimits::default()
    }
}

/// A turn against a server that answers every request with these bytes.
async fn play_bytes(bytes: impl Into<String>) -> Played {
    play_endless(bytes.into(), "", bounds()).await.0
}

/// The same with an answer that goes on with the same bytes for ever. Also returns how many of them
/// the server got rid of.
async fn play_endless(head: String, more: &'static str, limits: ModelLimits) -> (Played, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base_url = format!("http://{}", listener.local_addr().expect("an address"));
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, head.clone(), more, Arc::clone(&count)));
        }
    });
    let mut stage = Stage::new(puppet()).await;
    let mut config = config_at(&base_url);
    config.retry.max_attempts = 2;
    config.limits = limits;
    stage.client = ModelClient::new(config).expect("a client");
    let turn = tokio::time::timeout(Duration::from_secs(120), stage.play("Hello"));
    (turn.await.expect("an end"), sent.load(Ordering::SeqCst))
}

async fn answer(mut stream: TcpStream, head: String, more: &str, count: Arc<AtomicUsize>) {
    let mut request = [0; 16 << 10];
    let _ = stream.read(&mut request).await;
    let mut sent = stream.write_all(head.as_bytes()).await;
    let more = more.repeat(1_000);
    while !more.is_empty() && sent.is_ok() {
        sent = stream.write_all(more.as_bytes()).await;
        count.fetch_add(more.len(), Ordering::SeqCst);
    }
}

fn event(data: &str) -> String {
    format!("event: x\ndata: {data}\n\n")
}

fn stream_of(events: &[&str]) -> String {
    let events: String = events.iter().map(|data| event(data)).collect();
    format!("{STREAM}{events}")
}

#[tokio::test]
async fn events_and_blocks_newer_than_this_program_are_skipped() {
    let played = play_bytes(
        stream_of(&[
            r#"{"type":"message_start","message":{"id":"m","model":"new","usage":{"input_tokens":3,"output_tokens":null,"rays":7}}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"weather","rain":true}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"hologram","depth":3}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"ray_delta","ray":1}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"Hello","citations":null}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":" you"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":null}"#,
            r#"{"type":"message_stop"}"#,
            "[DONE]",
        ]))
    .await;
    assert_eq!(
        played.report.outcome,
        TurnOutcome::Completed,
        "{:?}",
        played.report
    );
    assert_eq!(played.read(), ["text: Hello you", "usage: end_turn"]);
    assert_eq!(played.report.usage.input_tokens, 3);
}

#[tokio::test]
async fn a_call_whose_input_comes_whole_at_its_start_is_understood() {
    let played = play_bytes(
        stream_of(&[
            r#"{"type":"message_start","message":{}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a b","name":"TodoWrite","input":{"todos":[]}}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"refusal"}}"#,
            r#"{"type":"message_stop"}"#,
        ]))
    .await;
    let call = played.events.iter().find_map(|kind| match kind {
        membrane_proto::v1::event_payload::Kind::ToolCall(call) => Some(call),
        _ => None,
    });
    let call = call.expect("a call");
    assert_eq!(call.input_json, r#"{"todos":[]}"#);
    assert!(
        call.tool_call_id.starts_with("toolu_"),
        "an id with a blank is not taken over"
    );
}

#[tokio::test]
async fn a_missing_end_of_the_stream_is_forgiven_when_the_answer_is_complete() {
    let played = play_bytes(
        stream_of(&[
            r#"{"type":"message_start","message":{}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hello"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
        ]))
    .await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    assert_eq!(played.read(), ["text: Hello", "usage: end_turn"]);
}

#[tokio::test]
async fn what_is_not_a_stream_of_events_is_malformed() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html>Welcome</html>";
    let nonsense = [
        page.to_owned(),
        format!("{STREAM}this is not an event stream\n\n"),
        stream_of(&["[1, 2"]),
        stream_of(&[r#"{"type":"content_block_start","index":0}"#]),
        stream_of(&[r#"{"no":"type"}"#]),
        stream_of(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        ]),
        stream_of(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}"#,
        ]),
    ];
    for bytes in nonsense {
        let played = play_bytes(bytes.clone()).await;
        assert_eq!(played.reason(), "MODEL_MALFORMED", "{bytes}");
    }
}

#[tokio::test]
async fn a_line_without_an_end_is_cut_off() {
    let limits = ModelLimits {
        stream_bytes_max: 256 << 20,
        ..bounds()
    };
    let (played, sent) = play_endless(format!("{STREAM}data: "), "xxxxxxxx", limits).await;
    assert_eq!(played.reason(), "MODEL_MALFORMED");
    assert!(sent < 64 << 20, "{sent}");
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off() {
    let ping = "data: {\"type\":\"ping\"}\n\n";
    let (played, sent) = play_endless(STREAM.to_owned(), ping, bounds()).await;
    assert_eq!(played.reason(), "MODEL_MALFORMED");
    assert!(sent < 64 << 20, "{sent}");
}

#[tokio::test]
async fn an_error_without_an_end_is_cut_off() {
    let head = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n".to_owned();
    let (played, sent) = play_endless(head, "sorry, ", bounds()).await;
    assert_eq!(played.reason(), "MODEL_REQUEST_INVALID");
    let message = played.report.error.expect("an error").message;
    assert!(message.len() < 1_000);
    assert!(sent < 64 << 20, "{sent}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let head = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let played = play_bytes(head.to_owned()).await;
    assert_eq!(played.reason(), "MODEL_REQUEST_INVALID");
    let message = played.report.error.expect("an error").message;
    assert!(message.contains("redirect"), "{message}");
}

#[tokio::test]
async fn a_server_that_hangs_up_is_unreachable_or_cut() {
    let played = play_bytes(String::new()).await;
    assert_eq!(played.report.outcome, TurnOutcome::Failed);
    assert_eq!(played.read().len(), 1, "{:?}", played.read());
}

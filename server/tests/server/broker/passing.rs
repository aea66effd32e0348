//! What passes, and what does not.

use std::time::Duration;

use membrane_agent::meter::Limits;
use membrane_scripted::{Scenario, Step};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{Stand, answer, error, hello, streamed};
use crate::{
    fixture::CAP,
    providers::{KEY, model},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_real_key_goes_out_and_what_came_from_inside_does_not() {
    let stand = Stand::new(Scenario::steps([
        Step::text("Hello."),
        Step::text("Hello."),
    ]))
    .await;
    let strange = [
        ("cookie", "canary-cookie"),
        ("x-forwarded-for", "canary-address"),
        ("proxy-authorization", "canary-proxy"),
        ("user-agent", "canary-agent"),
        ("host", "canary.example"),
        ("x-canary", "canary-header"),
    ];
    for authorization in ["x-api-key", "authorization"] {
        let request = reqwest::Client::new()
            .post(format!("{}/v1/messages?canary=query", stand.url))
            .json(&hello("scripted"))
            .header("anthropic-beta", "a-feature")
            .header("anthropic-version", "2023-06-01");
        let request = match authorization {
            "x-api-key" => request.header("x-api-key", &stand.token),
            _ => request.bearer_auth(&stand.token),
        };
        let request = strange.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let (status, body) = answer(request).await;
        assert_eq!(
            (status, &body["content"][0]["text"]),
            (200, &json!("Hello."))
        );
        assert!(!body.to_string().contains(KEY));
    }
    for arrived in stand.arrived() {
        let whole = format!("{arrived:?}");
        assert!(
            !whole.contains("canary-cookie") && !whole.contains("canary-a"),
            "{whole}"
        );
        assert!(
            !whole.contains("canary-h") && !whole.contains("canary-p"),
            "{whole}"
        );
        assert!(
            !whole.contains("canary.example") && !whole.contains("canary="),
            "{whole}"
        );
        assert!(!whole.contains(&stand.token), "{whole}");
        assert_eq!(arrived.headers["x-api-key"], KEY);
        assert_eq!(arrived.headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(arrived.headers["anthropic-beta"], "a-feature");
        assert_eq!(arrived.path, "/v1/messages");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_passed_byte_by_byte() {
    let step = || {
        let mut step = Step::text("A longer answer, which comes in many pieces.");
        step.usage.output_tokens = Some(17);
        step
    };
    let stand = Stand::new(Scenario::steps([step(), step()])).await;
    let passed = stand
        .post("/v1/messages", &streamed("scripted"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        passed.headers()["content-type"]
            .to_str()
            .expect("text")
            .split(';')
            .next(),
        Some("text/event-stream")
    );
    let passed = passed.text().await.expect("a whole stream");
    let direct = reqwest::Client::new()
        .post(format!("{}/v1/messages", stand.model.base_url()))
        .header("x-api-key", KEY)
        .header("anthropic-version", "2023-06-01")
        .json(&streamed("scripted"))
        .send()
        .await
        .expect("an answer");
    let direct = direct.text().await.expect("a whole stream");
    assert_eq!(without_ids(&passed), without_ids(&direct));
    let requests = stand.requests().await;
    assert_eq!(requests.len(), 1);
    let usage = requests[0].usage.expect("usage");
    assert_eq!((usage.output_tokens, usage.requests), (17, 1));
    assert_eq!(requests[0].stop_reason, "end_turn");
    assert!(!requests[0].estimated);
    assert_eq!(stand.meter.spent(), usage);
}

/// Ids of messages are random.
fn without_ids(stream: &str) -> Vec<String> {
    let lines = stream.lines().map(|line| {
        let Some(Ok(mut data)) = line
            .strip_prefix("data: ")
            .map(serde_json::from_str::<Value>)
        else {
            return line.to_owned();
        };
        if let Some(message) = data.get_mut("message") {
            message["id"] = Value::Null;
        }
        data.to_string()
    });
    lines.collect()
}

/// A provider whose pieces a test sends one by one.
struct Provider {
    listener: TcpListener,
    url: String,
}

impl Provider {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        Self { listener, url }
    }

    /// Accepts a request and begins to stream.
    async fn begin(&self) -> TcpStream {
        let (mut stream, _) = self.listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"}") {
            let byte = stream.read_u8().await.expect("a request");
            head.push(byte);
            if head.ends_with(b"\r\n\r\n") {
                head.clear();
            }
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream
    }
}

async fn send(stream: &mut TcpStream, data: &Value) {
    let text = format!("event: x\ndata: {data}\n\n");
    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
    stream.write_all(chunk.as_bytes()).await.expect("sent");
}

fn beginning() -> Value {
    json!({
        "type": "message_start",
        "message": { "model": "scripted", "usage": { "input_tokens": 33, "output_tokens": 1 } },
    })
}

fn word(word: &str) -> Value {
    json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": word } })
}

async fn stand_before(provider: &Provider) -> Stand {
    let model = model(Scenario::puppet()).await;
    Stand::before(model, &provider.url, Limits::default(), |_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_piece_is_there_before_the_next_one_is_made() {
    let provider = Provider::new().await;
    let stand = stand_before(&provider).await;
    let asking = stand.post("/v1/messages", &streamed("scripted")).send();
    let (mut stream, asking) = tokio::join!(provider.begin(), asking);
    let mut answer = asking.expect("a head");
    for number in 0..20 {
        let piece = word(&format!("word {number}"));
        send(&mut stream, &piece).await;
        let got = timeout(CAP, answer.chunk()).await.expect("at once");
        let got = got.expect("no error").expect("a piece");
        assert!(String::from_utf8_lossy(&got).contains(&format!("word {number}\"")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_goes_away_ends_the_request_and_is_counted() {
    let provider = Provider::new().await;
    let stand = stand_before(&provider).await;
    let asking = stand.post("/v1/messages", &streamed("scripted")).send();
    let (mut stream, asking) = tokio::join!(provider.begin(), asking);
    let mut answer = asking.expect("a head");
    send(&mut stream, &beginning()).await;
    let open = json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } });
    send(&mut stream, &open).await;
    let long = "word ".repeat(80);
    send(&mut stream, &word(&long)).await;
    let mut got = String::new();
    while !got.contains(&long) {
        let piece = timeout(CAP, answer.chunk()).await.expect("at once");
        let piece = piece.expect("no error").expect("a piece");
        got.push_str(&String::from_utf8_lossy(&piece));
    }
    drop(answer);
    // The other end closes, or resets, as soon as nobody listens.
    let rest = &mut Vec::new();
    let _ = timeout(CAP, stream.read_to_end(rest))
        .await
        .expect("it ends");
    stand.broker.close().await;
    let requests = stand.requests().await;
    assert_eq!(requests[0].stop_reason, "interrupted");
    assert!(requests[0].estimated);
    let usage = requests[0].usage.expect("usage");
    assert_eq!((usage.input_tokens, usage.output_tokens), (33, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_saw_an_answer_is_counted_by_what_was_sent() {
    let provider = Provider::new().await;
    let stand = stand_before(&provider).await;
    let mut body = hello("scripted");
    body["messages"][0]["content"] = "word ".repeat(2_000).into();
    let asking = tokio::spawn(stand.post("/v1/messages", &body).send());
    let (stream, _) = provider.listener.accept().await.expect("a connection");
    asking.abort();
    let _ = asking.await;
    tokio::time::timeout(CAP, stream.readable())
        .await
        .expect("it ends")
        .expect("readable");
    stand.broker.close().await;
    let usage = stand.meter.spent();
    assert!((2_000..4_000).contains(&usage.input_tokens), "{usage:?}");
    assert!(stand.requests().await[0].estimated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_ends_ends_its_requests() {
    let provider = Provider::new().await;
    let stand = stand_before(&provider).await;
    let asking = stand.post("/v1/messages", &streamed("scripted")).send();
    let (mut stream, asking) = tokio::join!(provider.begin(), asking);
    let answer = asking.expect("a head");
    send(&mut stream, &beginning()).await;
    timeout(CAP, stand.broker.close()).await.expect("it closes");
    let rest = timeout(CAP, answer.bytes()).await.expect("it ends");
    assert!(
        rest.is_err(),
        "a broken answer must not look like a whole one"
    );
    let (status, body) = stand.ask(&hello("scripted")).await;
    assert_eq!((status, error(&body).0), (401, "authentication_error"));
    assert_eq!(stand.requests().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_ask_first_is_answered() {
    let stand = Stand::with(Scenario::puppet(), Limits::default(), |settings| {
        settings.allowed_models = vec!["scripted".to_owned(), "other".to_owned()];
    })
    .await;
    let client = reqwest::Client::new();
    let head = client.head(&stand.url).send().await.expect("an answer");
    assert_eq!(head.status(), 200);
    let request = client.get(format!("{}/v1/models", stand.url));
    let (status, body) = answer(request.bearer_auth(&stand.token)).await;
    assert_eq!((status, &body["data"][1]["id"]), (200, &json!("other")));
    let count =
        json!({ "model": "scripted", "messages": [{ "role": "user", "content": "Hello" }] });
    let (status, body) = answer(stand.post("/v1/messages/count_tokens", &count)).await;
    assert_eq!(status, 200, "{body}");
    assert!(body["input_tokens"].as_i64().expect("a count") > 0);
    assert!(stand.told().await.is_empty(), "counting costs nothing");
    let (status, _) = answer(stand.post("/v1/files", &count)).await;
    assert_eq!(status, 404);
    tokio::time::sleep(Duration::ZERO).await;
}

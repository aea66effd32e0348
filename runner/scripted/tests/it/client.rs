//! A small client: enough to ask, to read a stream, and to play an engine's tool loop.

use std::net::{Ipv4Addr, SocketAddr};

use membrane_scripted::{Handle, Options, Scenario, Server};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

/// A server on any free port.
pub async fn serve(scenario: Scenario) -> Handle {
    serve_with(scenario, Options::default()).await
}

/// The same with options.
pub async fn serve_with(scenario: Scenario, options: Options) -> Handle {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let bound = Server::bind(any, scenario, options).await;
    bound.expect("a port is free")
}

/// A client. It must be told of a TLS provider even where it speaks no TLS.
pub fn http() -> reqwest::Client {
    let provider = rustls::crypto::ring::default_provider();
    // Another test may have been first.
    let _ = provider.install_default();
    let client = reqwest::Client::builder().no_proxy().build();
    client.expect("a client")
}

/// A request with the headers that all need, and no key.
pub fn keyless(handle: &Handle, path: &str) -> RequestBuilder {
    let url = format!("{}{path}", handle.base_url());
    http().post(url).header("anthropic-version", "2023-06-01")
}

/// A request for a message.
pub fn request(handle: &Handle, body: &Value) -> RequestBuilder {
    let request = keyless(handle, "/v1/messages");
    request.header("x-api-key", "scripted").json(body)
}

/// Asks and waits for the head of the response.
pub async fn ask(handle: &Handle, body: &Value) -> Response {
    request(handle, body).send().await.expect("a response")
}

/// Asks and reads a body that must be JSON, with its status.
pub async fn ask_json(handle: &Handle, body: &Value) -> (u16, Value) {
    let response = ask(handle, body).await;
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}

/// A request with this prompt and all tools.
pub fn prompt(text: &str) -> Value {
    talk(&[json!({"role": "user", "content": text})])
}

/// A request with these messages and all tools.
pub fn talk(messages: &[Value]) -> Value {
    let names = ["Bash", "Read", "Write", "Edit", "Glob", "Grep", "TodoWrite"];
    let tools = names.map(|name| json!({"name": name, "input_schema": {"type": "object"}}));
    json!({"model": "m", "max_tokens": 1024, "tools": tools, "messages": messages})
}

/// All text of a message.
pub fn text(message: &Value) -> String {
    let blocks = message["content"].as_array().into_iter().flatten();
    blocks.filter_map(|block| block["text"].as_str()).collect()
}

/// Runs a turn as an engine would, with `ok` as each tool's result, and returns the messages.
pub async fn run_turn(handle: &Handle, mut messages: Vec<Value>) -> Vec<Value> {
    for _ in 0..20 {
        let (status, message) = ask_json(handle, &talk(&messages)).await;
        assert_eq!(status, 200, "{message}");
        messages.push(json!({"role": "assistant", "content": message["content"]}));
        if message["stop_reason"] != "tool_use" {
            return messages;
        }
        let calls = message["content"].as_array().into_iter().flatten();
        let results: Vec<Value> = calls
            .filter(|block| block["type"] == "tool_use")
            .map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "ok"}))
            .collect();
        messages.push(json!({"role": "user", "content": results}));
    }
    panic!("the turn did not end");
}

use serde_json::{Value, json};

use super::{Dialect, Version, message_request};

mod messages;
mod settings;

const OLD: Dialect = Dialect {
    version: Version::Of2023,
    beta: false,
};

const NEW: Dialect = Dialect {
    version: Version::Of2026,
    beta: false,
};

/// A valid request with these changes.
fn request(changes: Value) -> Value {
    let mut body = json!({
        "model": "m",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "hi"}],
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// What the API says to it; empty if it accepts it.
fn refusal(changes: Value) -> String {
    refusal_of(OLD, changes)
}

fn refusal_of(dialect: Dialect, changes: Value) -> String {
    let error = message_request(&request(changes), dialect, &[]).err();
    error.map_or_else(String::new, |error| {
        assert_eq!(error.status(), 400);
        error.body("req_1")["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    })
}

fn of_messages(messages: Value) -> String {
    refusal(json!({"messages": messages}))
}

fn call(ids: &[&str]) -> Value {
    let call = |id: &&str| json!({"type": "tool_use", "id": id, "name": "Bash", "input": {}});
    json!({"role": "assistant", "content": ids.iter().map(call).collect::<Vec<_>>()})
}

fn results(ids: &[&str]) -> Value {
    let result = |id: &&str| json!({"type": "tool_result", "tool_use_id": id, "content": "ok"});
    json!({"role": "user", "content": ids.iter().map(result).collect::<Vec<_>>()})
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn tool(name: &str) -> Value {
    json!({"name": name, "input_schema": {"type": "object"}})
}

#[track_caller]
fn assert_says(refusal: &str, expected: &str) {
    assert!(refusal.contains(expected), "{refusal:?} lacks {expected:?}");
}

use membrane_scripted::{Options, Scenario, Step, TokenUsage};
use serde_json::{Value, json};

use crate::client::{ask, ask_json, http, keyless, prompt, request, serve, serve_with, talk};

#[tokio::test]
async fn a_key_is_required_and_checked() {
    let options = Options {
        key: Some("secret".to_owned()),
        ..Options::default()
    };
    let handle = serve_with(Scenario::puppet(), options).await;
    let send = async |name: &str, value: &str| {
        let request = keyless(&handle, "/v1/messages").json(&prompt("hi"));
        let response = request
            .header(name, value)
            .send()
            .await
            .expect("a response");
        let status = response.status().as_u16();
        let body: Value = response.json().await.expect("JSON");
        (status, body["error"]["message"].clone())
    };
    assert_eq!(
        send("x-none", "").await,
        (401, json!("x-api-key header is required"))
    );
    assert_eq!(
        send("x-api-key", "other").await,
        (401, json!("invalid x-api-key"))
    );
    let bearer = send("authorization", "Bearer other").await;
    assert_eq!(bearer, (401, json!("Invalid bearer token")));
    assert_eq!(send("x-api-key", "secret").await.0, 200);
    assert_eq!(send("authorization", "Bearer secret").await.0, 200);
}

#[tokio::test]
async fn the_version_is_required() {
    let handle = serve(Scenario::puppet()).await;
    let url = format!("{}/v1/messages", handle.base_url());
    let request = http().post(url).header("x-api-key", "a");
    let response = request
        .json(&prompt("hi"))
        .send()
        .await
        .expect("a response");
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.expect("JSON");
    assert_eq!(body["error"]["type"], "invalid_request_error");
    assert_eq!(
        body["error"]["message"],
        "anthropic-version: header is required"
    );
}

#[tokio::test]
async fn an_error_has_its_request_id_twice() {
    let handle = serve(Scenario::steps([Step::error(529)])).await;
    let response = ask(&handle, &prompt("hi")).await;
    let id = response.headers()["request-id"].to_str().map(str::to_owned);
    let body: Value = response.json().await.expect("JSON");
    assert_eq!(body["type"], "error");
    assert_eq!(body["request_id"], id.expect("a header"));
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let handle = serve(Scenario::puppet()).await;
    let request = keyless(&handle, "/v1/messages").header("x-api-key", "a");
    let response = request.body("{nonsense").send().await.expect("a response");
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.expect("JSON");
    let message = body["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("The request body is not valid JSON"),
        "{message}"
    );
}

#[tokio::test]
async fn a_request_of_more_than_32_megabytes_is_too_large() {
    let handle = serve(Scenario::puppet()).await;
    let (status, body) = ask_json(&handle, &prompt(&"x".repeat(33 << 20))).await;
    assert_eq!(status, 413);
    assert_eq!(body["error"]["type"], "request_too_large");
}

#[tokio::test]
async fn a_conversation_the_api_would_refuse_is_refused() {
    let handle = serve(Scenario::puppet()).await;
    let call = json!({"type": "tool_use", "id": "a", "name": "Bash", "input": {}});
    let (status, body) = ask_json(
        &handle,
        &talk(&[
            json!({"role": "user", "content": "go"}),
            json!({"role": "assistant", "content": [call]}),
            json!({"role": "user", "content": "never mind"}),
        ]),
    )
    .await;
    assert_eq!(status, 400);
    let message = body["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("without `tool_result` blocks"),
        "{message}"
    );
    assert_eq!(handle.requests()[0].status, 400);
}

#[tokio::test]
async fn tokens_are_counted() {
    let handle = serve(Scenario::puppet()).await;
    let count = keyless(&handle, "/v1/messages/count_tokens").header("x-api-key", "a");
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let response = count.json(&body).send().await.expect("a response");
    let body: Value = response.json().await.expect("JSON");
    assert!(body["input_tokens"].as_u64() > Some(1));
}

#[tokio::test]
async fn models_that_exist_are_listed_and_others_not_found() {
    let options = Options {
        models: vec!["a".to_owned(), "b".to_owned()],
        ..Options::default()
    };
    let handle = serve_with(Scenario::puppet(), options).await;
    let get = async |path: &str| {
        let url = format!("{}{path}", handle.base_url());
        let request = http().get(url);
        let request = request.header("anthropic-version", "2023-06-01");
        let response = request.bearer_auth("x").send().await.expect("a response");
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.expect("JSON"))
    };
    assert_eq!(get("/v1/models").await.1["data"][1]["id"], "b");
    assert_eq!(get("/v1/models/b").await.1["type"], "model");
    assert_eq!(get("/v1/models/z").await.0, 404);
    assert_eq!(ask_json(&handle, &prompt("hi")).await.0, 404);
}

#[tokio::test]
async fn probes_unknown_paths_and_wrong_methods_are_answered() {
    let handle = serve(Scenario::puppet()).await;
    let client = http();
    let url = |path: &str| format!("{}{path}", handle.base_url());
    let head = client.head(url("/")).send().await.expect("a response");
    assert_eq!(head.status(), 200);
    let lost = client
        .get(url("/v1/nothing"))
        .send()
        .await
        .expect("a response");
    assert_eq!(lost.status(), 404);
    let body: Value = lost.json().await.expect("JSON");
    assert_eq!(body["error"]["type"], "not_found_error");
    let wrong = client
        .get(url("/v1/messages"))
        .send()
        .await
        .expect("a response");
    assert_eq!(wrong.status(), 405);
    let control = client.get(url("/_scripted/requests")).send().await;
    assert_eq!(control.expect("a response").status(), 404);
}

#[tokio::test]
async fn requests_are_recorded_with_their_key_and_body() {
    let handle = serve(Scenario::puppet()).await;
    ask(&handle, &prompt("one")).await;
    let api = keyless(&handle, "/api/v1/messages?beta=true").bearer_auth("two");
    api.json(&prompt("two")).send().await.expect("a response");
    let requests = handle.requests();
    let key = |n: usize| requests[n].key.clone().map(|key| (key.header, key.value));
    assert_eq!(
        key(0),
        Some(("x-api-key".to_owned(), "scripted".to_owned()))
    );
    assert_eq!(key(1), Some(("authorization".to_owned(), "two".to_owned())));
    assert_eq!(requests[1].path, "/api/v1/messages");
    assert_eq!(requests[1].query, "beta=true");
    assert_eq!(requests[1].body["messages"][0]["content"], "two");
    assert_eq!(requests[1].header("anthropic-version"), Some("2023-06-01"));
    assert_eq!((requests[1].number, requests[1].status), (2, 200));
    handle.clear_requests();
    assert!(handle.requests().is_empty());
}

#[tokio::test]
async fn no_more_requests_are_kept_than_wanted() {
    let options = Options {
        keep_requests: 1,
        ..Options::default()
    };
    let handle = serve_with(Scenario::puppet(), options).await;
    ask(&handle, &prompt("one")).await;
    ask(&handle, &prompt("two")).await;
    let requests = handle.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].number, 2);
}

#[tokio::test]
async fn usage_is_what_the_scenario_reports() {
    let usage = TokenUsage {
        input_tokens: Some(10),
        output_tokens: Some(20),
        cache_creation_input_tokens: Some(30),
        cache_read_input_tokens: Some(40),
    };
    let handle = serve(Scenario::steps([Step::text("hi").usage(usage)])).await;
    let (_, message) = ask_json(&handle, &prompt("hi")).await;
    assert_eq!(message["usage"]["output_tokens"], 20);
    assert_eq!(
        message["usage"]["cache_creation"]["ephemeral_5m_input_tokens"],
        30
    );
    assert_eq!(message["usage"]["cache_read_input_tokens"], 40);
}

#[tokio::test]
async fn the_control_shows_requests_and_takes_scenarios() {
    let options = Options {
        control: true,
        ..Options::default()
    };
    let handle = serve_with(Scenario::puppet(), options).await;
    let client = http();
    let url = |name: &str| format!("{}/_scripted/{name}", handle.base_url());
    let scenario = json!({"steps": [{"content": [{"type": "text", "text": "other"}]}]});
    let put = client.put(url("scenario")).json(&scenario).send().await;
    assert_eq!(put.expect("a response").status(), 204);
    assert_eq!(
        ask_json(&handle, &prompt("hi")).await.1["content"][0]["text"],
        "other"
    );
    let wrong = client
        .put(url("scenario"))
        .json(&json!({"step": 1}))
        .send()
        .await;
    assert_eq!(wrong.expect("a response").status(), 400);
    let listed = client
        .get(url("requests"))
        .send()
        .await
        .expect("a response");
    let listed: Value = listed.json().await.expect("JSON");
    assert_eq!(listed[0]["body"]["model"], "m");
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    let deleted = client.delete(url("requests")).send().await;
    assert_eq!(deleted.expect("a response").status(), 204);
    assert!(handle.requests().is_empty());
}

#[tokio::test]
async fn bodies_are_appended_to_a_file() {
    let path = std::env::temp_dir().join(format!("membrane-scripted-{}", uuid::Uuid::new_v4()));
    let options = Options {
        bodies: Some(path.clone()),
        ..Options::default()
    };
    let handle = serve_with(Scenario::puppet(), options).await;
    ask(&handle, &prompt("one")).await;
    ask(&handle, &prompt("two")).await;
    let written = tokio::fs::read_to_string(&path)
        .await
        .expect("the file is there");
    let bodies: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(bodies, [prompt("one"), prompt("two")]);
    tokio::fs::remove_file(&path)
        .await
        .expect("it can be removed");
}

#[tokio::test]
async fn after_shutdown_nobody_answers() {
    let handle = serve(Scenario::puppet()).await;
    handle.shutdown().await;
    handle.shutdown().await;
    assert!(request(&handle, &prompt("hi")).send().await.is_err());
}

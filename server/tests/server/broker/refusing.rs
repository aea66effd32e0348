//! Who is not let in, and what is not sent.

use membrane_agent::meter::Limits;
use membrane_scripted::{ErrorReply, Fault, Scenario, Step};
use serde_json::json;

use super::{Stand, answer, error, hello, streamed};
use crate::providers::KEY;

#[tokio::test(flavor = "multi_thread")]
async fn only_the_token_of_this_turn_is_let_in() {
    let stand = Stand::new(Scenario::puppet()).await;
    let other = Stand::new(Scenario::puppet()).await;
    let longer = format!("{}x", stand.token);
    let wrong = ["", "x", KEY, &other.token, &longer, &stand.token[1..]];
    let client = reqwest::Client::new();
    for path in ["/v1/messages", "/v1/messages/count_tokens", "/v1/models"] {
        let url = format!("{}{path}", stand.url);
        for token in wrong {
            let request = client.post(&url).json(&hello("scripted"));
            let (status, body) = answer(request.header("x-api-key", token)).await;
            assert_eq!(
                (status, error(&body).0),
                (401, "authentication_error"),
                "{path}"
            );
        }
        let nobody = client.post(&url).json(&hello("scripted"));
        assert_eq!(answer(nobody).await.0, 401, "{path}");
    }
    stand.broker.close().await;
    assert_eq!(stand.ask(&hello("scripted")).await.0, 401);
    assert!(stand.arrived().is_empty() && other.arrived().is_empty());
    assert!(stand.told().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_not_on_the_list_is_refused_before_anything_is_sent() {
    let stand = Stand::with(Scenario::puppet(), Limits::default(), |settings| {
        settings.allowed_models = vec!["scripted".to_owned()];
    })
    .await;
    for model in ["other", "scripted ", "Scripted", "scripted-2", ""] {
        let (status, body) = stand.ask(&hello(model)).await;
        assert_eq!(
            (status, error(&body).0),
            (403, "permission_error"),
            "{model}"
        );
    }
    let count = json!({ "model": "other", "messages": [] });
    let (status, _) = answer(stand.post("/v1/messages/count_tokens", &count)).await;
    assert_eq!(status, 403);
    // Which model it means must not be a matter of who reads it.
    let twice = r#"{"model": "scripted", "model": "other", "max_tokens": 9, "messages": []}"#;
    let request = stand.post("/v1/messages", &json!({})).body(twice);
    let (status, body) = answer(request).await;
    assert_eq!((status, error(&body).0), (400, "invalid_request_error"));
    assert!(stand.arrived().is_empty());
    assert_eq!(stand.ask(&hello("scripted")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_bounded() {
    let stand = Stand::new(Scenario::puppet()).await;
    let mut large = hello("scripted");
    large["messages"][0]["content"] = "x".repeat(33 << 20).into();
    let (status, body) = stand.ask(&large).await;
    assert_eq!((status, error(&body).0), (413, "request_too_large"));
    let request = stand.post("/v1/messages", &hello("scripted"));
    let long = request.header("x-long", "x".repeat(200 << 10)).send().await;
    assert!(long.is_err() || long.is_ok_and(|answer| answer.status().is_client_error()));
    let mut unbounded = hello("scripted");
    unbounded
        .as_object_mut()
        .expect("an object")
        .remove("max_tokens");
    assert_eq!(stand.ask(&unbounded).await.0, 400);
    assert!(stand.arrived().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_providers_refusals_pass_without_the_key() {
    let table = [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (404, "not_found_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ];
    let steps = table.map(|(status, _)| Step {
        error: Some(ErrorReply {
            status,
            message: Some(format!("the key {KEY} is not liked")),
            retry_after: Some(7),
            ..ErrorReply::default()
        }),
        ..Step::default()
    });
    let stand = Stand::new(Scenario::steps(steps)).await;
    for (status, kind) in table {
        let request = stand.post("/v1/messages", &streamed("scripted"));
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["retry-after"], "7");
        let text = response.text().await.expect("a body");
        assert!(!text.contains(KEY), "{text}");
        let body = serde_json::from_str(&text).expect("JSON");
        assert_eq!(error(&body).0, kind);
    }
    stand.broker.close().await;
    let requests = stand.requests().await;
    assert_eq!(requests.len(), table.len());
    assert!(requests.iter().all(|request| request.usage.is_none()));
    assert!(!format!("{requests:?}").contains(KEY));
    assert_eq!(stand.meter.spent().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_does_not_look_whole() {
    let text = "Words that come before the end of it all.";
    let faults = [
        Fault::Cut { after: 4 },
        Fault::End { after: 4 },
        Fault::Malformed { after: 4 },
    ];
    let steps = faults.map(|fault| Step {
        fault: Some(fault),
        ..Step::text(text)
    });
    let stand = Stand::new(Scenario::steps(steps)).await;
    for _ in 0..3 {
        let request = stand.post("/v1/messages", &streamed("scripted"));
        let response = request.send().await.expect("a head");
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err());
    }
    stand.broker.close().await;
    let requests = stand.requests().await;
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert_eq!(request.stop_reason, "error");
        assert!(request.estimated);
        let usage = request.usage.expect("usage");
        assert!(
            usage.input_tokens > 0 && usage.output_tokens > 0,
            "{usage:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_not_there_is_said_to_be() {
    let model = crate::providers::model(Scenario::puppet()).await;
    let nobody = "http://127.0.0.1:1";
    let stand = Stand::before(model, nobody, Limits::default(), |_| {}).await;
    let (status, body) = stand.ask(&hello("scripted")).await;
    assert_eq!((status, error(&body).0), (502, "api_error"));
    assert!(!body.to_string().contains("127.0.0.1"), "{body}");
    assert_eq!(stand.meter.spent().requests, 0);
    let denied = Stand::before(
        crate::providers::model(Scenario::puppet()).await,
        "http://model.invalid",
        Limits::default(),
        |_| {},
    )
    .await;
    let (status, _) = denied.ask(&hello("scripted")).await;
    assert!(status == 403 || status == 502, "{status}");
}

use std::time::Duration;

use membrane_scripted::{ErrorReply, Fault, Pace, Scenario, Step};
use serde_json::{Value, json};

use crate::client::{ask, ask_json, prompt, serve};

fn streamed() -> Value {
    let mut body = prompt("hi");
    body["stream"] = json!(true);
    body
}

#[tokio::test]
async fn every_status_has_its_type() {
    let types = [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ];
    let handle = serve(Scenario::steps(
        types.map(|(status, _)| Step::error(status)),
    ))
    .await;
    for (status, kind) in types {
        let (answered, body) = ask_json(&handle, &streamed()).await;
        assert_eq!(answered, status);
        assert_eq!(body["error"]["type"], kind);
    }
}

#[tokio::test]
async fn an_error_may_say_when_to_retry() {
    let mut step = Step::error(429);
    step.error = Some(ErrorReply {
        retry_after: Some(7),
        headers: [("x-should-retry".to_owned(), "true".to_owned())].into(),
        ..ErrorReply::status(429)
    });
    let handle = serve(Scenario::steps([step])).await;
    let response = ask(&handle, &prompt("hi")).await;
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(response.headers()["x-should-retry"], "true");
}

#[tokio::test]
async fn an_error_comes_so_many_times_and_then_an_answer() {
    let steps = [Step::error(529).times(2), Step::text("at last")];
    let handle = serve(Scenario::steps(steps)).await;
    assert_eq!(ask(&handle, &prompt("hi")).await.status(), 529);
    assert_eq!(ask(&handle, &prompt("hi")).await.status(), 529);
    assert_eq!(ask(&handle, &prompt("hi")).await.status(), 200);
}

#[tokio::test]
async fn a_directive_s_errors_start_over_with_the_next_session() {
    let handle = serve(Scenario::puppet()).await;
    for status in [529, 529, 200, 529, 529, 200] {
        let body = prompt("!error 529 x2\n!say hi");
        assert_eq!(ask(&handle, &body).await.status(), status);
    }
}

#[tokio::test]
async fn a_cut_arrives_as_a_broken_body_after_its_events() {
    let step = Step::text("hello").fault(Fault::Cut { after: 4 });
    let handle = serve(Scenario::steps([step])).await;
    let mut response = ask(&handle, &streamed()).await;
    assert_eq!(response.status(), 200);
    let mut received = Vec::new();
    let end = loop {
        match response.chunk().await {
            Ok(Some(bytes)) => received.extend_from_slice(&bytes),
            end => break end,
        }
    };
    assert!(end.is_err(), "the body ended orderly");
    let received = String::from_utf8_lossy(&received);
    assert_eq!(received.matches("event: ").count(), 4, "{received}");
}

#[tokio::test]
async fn an_early_end_is_orderly() {
    let step = Step::text("hello").fault(Fault::End { after: 2 });
    let handle = serve(Scenario::steps([step])).await;
    let body = ask(&handle, &streamed()).await.text().await;
    assert_eq!(body.expect("an orderly end").matches("event: ").count(), 2);
}

#[tokio::test]
async fn an_error_event_names_its_error() {
    let step = Step::text("hello").fault(Fault::Error {
        after: 3,
        error: ErrorReply::status(529),
    });
    let handle = serve(Scenario::steps([step])).await;
    let body = ask(&handle, &streamed()).await.text().await;
    let body = body.expect("an orderly end");
    assert!(
        body.contains("event: error\n") && body.contains("overloaded_error"),
        "{body}"
    );
}

#[tokio::test]
async fn a_stream_has_its_content_type_and_comes_in_pieces() {
    let pace = Pace {
        chunk_ms: 1,
        chunk_chars: 1,
        ..Pace::default()
    };
    let handle = serve(Scenario::steps([Step::text("hello")]).paced(pace)).await;
    let response = ask(&handle, &streamed()).await;
    let content_type = &response.headers()["content-type"];
    assert_eq!(content_type, "text/event-stream; charset=utf-8");
    let body = response.text().await.expect("a body");
    assert_eq!(body.matches("text_delta").count(), 5);
}

#[tokio::test]
async fn a_stalled_stream_ends_with_the_server() {
    let step = Step::text("hello").fault(Fault::Stall { after: 1 });
    let handle = serve(Scenario::steps([step])).await;
    let response = ask(&handle, &streamed()).await;
    let reading = tokio::spawn(response.text());
    let shutdown = tokio::time::timeout(Duration::from_secs(20), handle.shutdown());
    shutdown.await.expect("the server ends");
    let text = reading.await.expect("the reader ends");
    assert_eq!(text.expect("an orderly end").matches("event: ").count(), 1);
}

#[tokio::test]
async fn a_request_is_recorded_before_its_delay() {
    let pace = Pace {
        head_ms: 3_600_000,
        ..Pace::default()
    };
    let handle = serve(Scenario::steps([Step::text("late")]).paced(pace)).await;
    let waiting = {
        let handle = handle.clone();
        tokio::spawn(async move { ask(&handle, &prompt("hi")).await })
    };
    let recorded = async {
        while handle.requests().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let cap = Duration::from_secs(20);
    tokio::time::timeout(cap, recorded)
        .await
        .expect("it is recorded");
    handle.shutdown().await;
    let response = waiting.await.expect("the request ends");
    assert_eq!(response.status(), 503);
}

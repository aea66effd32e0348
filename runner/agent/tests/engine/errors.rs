use std::time::Duration;

use membrane_agent::model::{ModelClient, ModelLimits};
use membrane_proto::v1::TurnOutcome;
use serde_json::{Value, json};

use crate::{
    played::Played,
    stage::{Do, KEY, Stage, config_at, puppet, steps},
};

/// A turn against a model that answers with this error whenever it is asked.
async fn play_error(error: Value) -> (Stage, Played) {
    let mut stage = Stage::new(steps(json!([{ "times": 99, "error": error }]))).await;
    let played = stage.play("Hello").await;
    (stage, played)
}

#[tokio::test]
async fn errors_that_will_not_go_away_end_the_turn_at_once() {
    let table = [
        (400, "MODEL_REQUEST_INVALID"),
        (401, "MODEL_AUTHENTICATION"),
        (402, "MODEL_PAYMENT_REQUIRED"),
        (403, "MODEL_AUTHENTICATION"),
        (404, "MODEL_NOT_FOUND"),
        (413, "MODEL_REQUEST_TOO_LARGE"),
    ];
    for (status, reason) in table {
        let (stage, played) = play_error(json!({ "status": status, "message": "so it is" })).await;
        assert_eq!(played.report.outcome, TurnOutcome::Failed, "{status}");
        assert_eq!(played.reason(), reason, "{status}");
        assert_eq!(stage.requests().len(), 1, "{status}");
        assert_eq!(played.events, [], "{status}");
        assert_eq!(played.report.usage.requests, 0, "{status}");
    }
}

#[tokio::test]
async fn errors_that_may_go_away_are_tried_again_six_times_and_visibly() {
    let table = [
        (429, "MODEL_RATE_LIMITED"),
        (500, "MODEL_SERVER_ERROR"),
        (503, "MODEL_SERVER_ERROR"),
        (529, "MODEL_OVERLOADED"),
    ];
    for (status, reason) in table {
        let (stage, played) = play_error(json!({ "status": status })).await;
        assert_eq!(
            (played.report.outcome, played.reason()),
            (TurnOutcome::Failed, reason)
        );
        assert_eq!(stage.requests().len(), 6, "{status}");
        let retries: Vec<String> = (1..6).map(|n| format!("retry {n}: {reason}")).collect();
        assert_eq!(played.read(), retries);
        let waited: Duration = played.delays().iter().sum();
        assert!(waited > Duration::from_secs(10), "{waited:?}");
        assert!(
            played.took >= waited,
            "{:?} is less than {waited:?}",
            played.took
        );
    }
}

#[tokio::test]
async fn a_providers_own_delay_is_kept() {
    let mut stage = Stage::new(steps(json!([
        { "error": { "status": 429, "retry_after": 7 } },
        { "error": { "status": 429, "retry_after": 3_600 } },
        { "error": { "status": 529, "headers": { "retry-after-ms": "250" } } },
        { "content": [{ "type": "text", "text": "Now." }] },
    ])))
    .await;
    let played = stage.play("Hello").await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    let expected = [7_000, 60_000, 250].map(Duration::from_millis);
    assert_eq!(played.delays(), expected);
    assert!(played.took >= Duration::from_millis(67_250));
    assert_eq!(played.read()[3..], ["text: Now.", "usage: end_turn"]);
}

#[tokio::test]
async fn an_error_inside_a_stream_is_classified_like_one_before_it() {
    let mut stage = Stage::new(puppet()).await;
    let played = stage.play("!stream-error 529 after=2 x1\n!say Here.").await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    assert_eq!(
        played.read(),
        [
            "usage: error",
            "retry 1: MODEL_OVERLOADED",
            "text: Here.",
            "usage: end_turn"
        ]
    );
}

#[tokio::test]
async fn a_stream_cut_before_a_block_was_complete_is_tried_again_from_the_start() {
    for cut in ["!cut 4 x1", "!finish 4 x1"] {
        let mut stage = Stage::new(puppet()).await;
        let prompt = format!("{cut}\n!say A sentence of several pieces, long enough to be cut.");
        let played = stage.play(&prompt).await;
        assert_eq!(played.report.outcome, TurnOutcome::Completed, "{cut}");
        assert_eq!(
            played.read(),
            [
                "usage: error",
                "retry 1: MODEL_STREAM_CUT",
                "text: A sentence of several pieces, long enough to be cut.",
                "usage: end_turn",
            ],
            "{cut}"
        );
        let requests = stage.requests();
        assert_eq!(
            requests[0].body["messages"], requests[1].body["messages"],
            "{cut}"
        );
        assert_eq!(
            played.report.usage.requests, 2,
            "a request that was cut is paid for"
        );
    }
}

#[tokio::test]
async fn a_stream_cut_after_words_is_continued_with_them() {
    let mut stage = Stage::new(steps(json!([
        {
            "pace": { "chunk_chars": 100 },
            "content": [{ "type": "text", "text": "First." }, { "type": "text", "text": "Second." }],
            "fault": { "kind": "cut", "after": 7 },
        },
        { "content": [{ "type": "text", "text": "Third." }] },
    ])))
    .await;
    let played = stage.play("Tell").await;
    assert_eq!(
        played.read(),
        [
            "text: First.",
            "usage: error",
            "retry 1: MODEL_STREAM_CUT",
            "text: Third.",
            "usage: end_turn"
        ]
    );
    let messages = &stage.last_body()["messages"];
    assert_eq!(messages[1]["content"][0]["text"], "First.");
    let note = messages[2]["content"][0]["text"].as_str().expect("a note");
    assert!(note.contains("Continue where it stops"), "{note}");
}

#[tokio::test]
async fn a_stream_cut_after_a_tool_call_goes_on_with_its_result() {
    let mut stage = Stage::new(steps(json!([
        {
            "pace": { "chunk_chars": 100 },
            "content": [
                { "type": "tool_use", "name": "TodoWrite", "input": { "todos": [] } },
                { "type": "text", "text": "Lost." },
            ],
            "fault": { "kind": "cut", "after": 6 },
        },
        { "content": [{ "type": "text", "text": "On." }] },
    ])))
    .await;
    let played = stage.play("Go").await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    let read = played.read();
    assert_eq!(
        read[..3],
        ["call TodoWrite", "usage: error", "notice: MODEL_STREAM_CUT"]
    );
    assert!(read[3].starts_with("result: "), "{read:?}");
    assert_eq!(read[read.len() - 2..], ["text: On.", "usage: end_turn"]);
}

#[tokio::test]
async fn broken_json_in_a_stream_ends_the_turn() {
    let mut stage = Stage::new(puppet()).await;
    let played = stage.play("!malformed 3\n!say Never.").await;
    assert_eq!(
        (played.report.outcome, played.reason()),
        (TurnOutcome::Failed, "MODEL_MALFORMED")
    );
    assert_eq!(stage.requests().len(), 1);
}

#[tokio::test]
async fn a_stream_that_stalls_is_given_up_and_tried_again() {
    let mut stage = Stage::new(puppet()).await;
    let mut config = config_at(&stage.model.base_url());
    config.limits = ModelLimits {
        idle_timeout: Duration::from_millis(1_500),
        ..ModelLimits::default()
    };
    stage.client = ModelClient::new(config).expect("a client");
    let turn = stage.play("!stall 3 x1\n!say After all.");
    let turn = tokio::time::timeout(Duration::from_secs(60), turn);
    let played = turn.await.expect("an end");
    assert_eq!(
        played.read(),
        [
            "usage: error",
            "retry 1: MODEL_TIMEOUT",
            "text: After all.",
            "usage: end_turn"
        ]
    );
}

#[tokio::test]
async fn a_model_that_is_not_there_is_unreachable() {
    let mut stage = Stage::new(puppet()).await;
    stage.model.shutdown().await;
    let played = stage.play("Hello").await;
    assert_eq!(
        (played.report.outcome, played.reason()),
        (TurnOutcome::Failed, "MODEL_UNREACHABLE")
    );
    assert_eq!(played.read().len(), 5);
}

#[tokio::test]
async fn thinking_that_the_provider_does_not_take_back_is_left_out() {
    let refusal = json!({ "status": 400, "message": "messages.1.content.0: Invalid `signature` in `thinking` block" });
    let mut stage = Stage::new(steps(json!([
        { "content": [{ "type": "thinking", "thinking": "Hm." }, { "type": "text", "text": "Well." }] },
        { "error": refusal },
        { "content": [{ "type": "text", "text": "Fine." }] },
    ])))
    .await;
    let budget = |spec: &mut membrane_agent::TurnSpec| spec.thinking_budget_tokens = 2_000;
    stage.play_with("Hello", budget, |_| Do::Nothing).await;
    let played = stage.play_with("Go on", budget, |_| Do::Nothing).await;
    assert_eq!(
        played.read(),
        [
            "notice: MODEL_THINKING_DROPPED",
            "text: Fine.",
            "usage: end_turn"
        ]
    );
    let bodies: Vec<String> = stage
        .requests()
        .iter()
        .map(|one| one.body.to_string())
        .collect();
    assert!(bodies[1].contains("Hm.") && bodies[1].contains("budget_tokens"));
    assert!(!bodies[2].contains("Hm.") && !bodies[2].contains("budget_tokens"));
}

#[tokio::test]
async fn no_message_contains_the_key() {
    for status in [400, 401, 404, 429, 500] {
        let message = format!("your key {KEY} or {}… is not good", &KEY[..12]);
        let (_, played) = play_error(json!({ "status": status, "message": message })).await;
        let told = format!("{:?} {:?}", played.report, played.events);
        assert!(!told.contains("tests-0123"), "{told}");
        assert!(!told.contains(&KEY[..12]), "{told}");
        assert!(status == 401 || told.contains("is not good"), "{told}");
    }
}

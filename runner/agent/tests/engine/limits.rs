//! A session's limits: a turn ends before the request that could exceed one is sent.

use membrane_agent::meter::{Limits, Meter};
use membrane_proto::v1::{LimitKind, LimitMet, TurnOutcome, Usage, event_payload::Kind};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    played::Played,
    stage::{Do, Seen, Stage, client_at, steps},
};

/// A call, with this usage, any number of times.
fn working(input: u64, output: u64) -> Value {
    let call = json!({ "type": "tool_use", "name": "TodoWrite", "input": { "todos": [] } });
    let usage = json!({ "input_tokens": input, "output_tokens": output });
    json!([{ "times": 50, "content": [call], "usage": usage }])
}

async fn play(stage: &mut Stage, model: &str, limits: Limits) -> Played {
    let limit = |spec: &mut membrane_agent::TurnSpec| {
        model.clone_into(&mut spec.model);
        spec.meter = Meter::new(limits, Usage::default());
    };
    stage.play_with("Go on", limit, |_| Do::Nothing).await
}

fn met(played: &Played) -> LimitMet {
    assert_eq!(played.report.outcome, TurnOutcome::LimitReached);
    match played.events.last() {
        Some(Kind::LimitMet(met)) => met.clone(),
        other => panic!("not a limit: {other:?}"),
    }
}

#[tokio::test]
async fn a_turn_ends_at_a_limit_of_requests_before_the_next_is_sent() {
    let mut stage = Stage::new(steps(working(10, 10))).await;
    let limits = Limits {
        requests: Some(3),
        ..Limits::default()
    };
    let played = play(&mut stage, "scripted", limits).await;
    let met = met(&played);
    assert_eq!((met.kind(), met.limit), (LimitKind::Requests, 3));
    assert_eq!(played.reason(), "LIMIT_REQUESTS");
    assert_eq!(stage.requests().len(), 3);
    assert_eq!(played.report.usage.requests, 3);
}

#[tokio::test]
async fn tokens_are_never_more_than_allowed_and_the_last_answer_gets_what_is_left() {
    let mut stage = Stage::new(steps(working(9_000, 500))).await;
    let limits = Limits {
        tokens: Some(100_000),
        ..Limits::default()
    };
    let played = play(&mut stage, "scripted", limits).await;
    assert_eq!(met(&played).kind(), LimitKind::Tokens);
    let usage = played.report.usage;
    let tokens = usage.input_tokens + usage.output_tokens;
    assert!(tokens <= 100_000, "{usage:?}");
    // A bound by size alone would have ended it long before.
    assert!(tokens > 75_000, "{usage:?}");
    let rooms: Vec<u64> = stage
        .requests()
        .iter()
        .map(|request| request.body["max_tokens"].as_u64().expect("a number"))
        .collect();
    assert_eq!(rooms[0], 16_384);
    assert!(rooms[rooms.len() - 1] < 16_384, "{rooms:?}");
    assert!(rooms.iter().all(|room| *room >= 1_024), "{rooms:?}");
}

#[tokio::test]
async fn an_answer_that_a_limit_cut_off_ends_the_turn_as_one() {
    let step = json!({
        "content": [{ "type": "text", "text": "As far as it" }],
        "stop_reason": "max_tokens",
    });
    let mut stage = Stage::new(steps(json!([step.clone(), step]))).await;
    let all = play(&mut stage, "scripted", Limits::default()).await;
    assert_eq!(all.report.outcome, TurnOutcome::Completed);
    let limits = Limits {
        tokens: Some(40_000),
        ..Limits::default()
    };
    let cut = play(&mut stage, "claude-opus-4-6", limits).await;
    assert_eq!(cut.report.outcome, TurnOutcome::LimitReached);
    assert_eq!(cut.reason(), "LIMIT_OUTPUT");
}

#[tokio::test]
async fn a_limit_of_cost_holds_for_known_prices_and_refuses_unknown_ones() {
    let mut stage = Stage::new(steps(working(1_000, 1_000))).await;
    let limits = Limits {
        cost_micro_usd: Some(300_000),
        ..Limits::default()
    };
    let played = play(&mut stage, "claude-sonnet-4-5", limits).await;
    assert_eq!(met(&played).kind(), LimitKind::Cost);
    assert_eq!(played.reason(), "LIMIT_COST");
    let cost = played.report.usage.cost_micro_usd.expect("a known cost");
    // A request costs 0.018 dollars.
    assert!((150_000..=300_000).contains(&cost), "{cost}");
    let sent = stage.requests().len();
    let unknown = play(&mut stage, "somebody/model", limits).await;
    assert_eq!(unknown.reason(), "LIMIT_COST_UNKNOWN");
    assert_eq!(stage.requests().len(), sent, "nothing was sent");
    assert_eq!(unknown.report.usage.requests, 0);
}

#[tokio::test]
async fn a_request_that_was_sent_is_counted_when_it_is_cut_off_before_its_answer() {
    let provider = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = provider.local_addr().expect("an address");
    let mut stage = Stage::new(steps(json!([]))).await;
    stage.client = client_at(&format!("http://{address}"));
    let cancel = stage.cancel.clone();
    let interrupting = async {
        let (connection, _) = provider.accept().await.expect("a connection");
        connection.readable().await.expect("a request");
        cancel.cancel();
        connection
    };
    let playing = stage.play_with("Hello", |_| {}, |_: Seen<'_>| Do::Nothing);
    let (played, _connection) = tokio::join!(playing, interrupting);
    assert_eq!(played.report.outcome, TurnOutcome::Interrupted);
    assert_eq!(played.read(), ["usage: interrupted"]);
    let Kind::ModelUsage(used) = &played.events[0] else {
        panic!("no usage");
    };
    assert!(used.estimated);
    let usage = played.report.usage;
    assert_eq!(usage.requests, 1);
    assert!(usage.input_tokens > 1_000, "{usage:?}");
}

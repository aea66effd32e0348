//! What is counted, and that no limit is exceeded.

use futures::future::join_all;
use membrane_agent::meter::Limits;
use membrane_proto::v1::{self as proto, LimitKind, event_payload::Kind};
use membrane_scripted::{Scenario, Step, TokenUsage, When};
use membrane_server::{
    db::{NewEvent, NewTurn, RequestKey},
    id::{ServerId, SessionId, TurnId},
};

use super::{Stand, error, hello, streamed};
use crate::fixture::TestServer;

/// Any number of answers with this usage.
fn always(input: u64, output: u64) -> Scenario {
    let step = Step {
        when: Some(When::default()),
        usage: TokenUsage {
            input_tokens: Some(input),
            output_tokens: Some(output),
            ..TokenUsage::default()
        },
        ..Step::text("An answer.")
    };
    Scenario::steps([step])
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_the_same_time_never_exceed_a_limit_together() {
    let limits = Limits {
        tokens: Some(12_000),
        ..Limits::default()
    };
    // Each may use over 2,100 and uses 200.
    let stand = Stand::with(always(100, 100), limits, |_| {}).await;
    let body = streamed("scripted");
    let mut refused = 0;
    // Until there is no room for one more.
    while refused < 8 {
        refused = 0;
        let answers = join_all((0..8).map(|_| async {
            let answer = stand.post("/v1/messages", &body).send().await;
            let answer = answer.expect("an answer");
            (
                answer.status().as_u16(),
                answer.text().await.expect("a body"),
            )
        }));
        for (status, text) in answers.await {
            match status {
                200 => {}
                403 => {
                    assert!(text.contains("LIMIT_TOKENS"), "{text}");
                    refused += 1;
                }
                other => panic!("{other}: {text}"),
            }
        }
    }
    stand.broker.close().await;
    let spent = stand.meter.spent();
    let tokens = spent.input_tokens + spent.output_tokens;
    assert!(tokens <= 12_000, "{spent:?}");
    assert!(tokens > 9_000, "what is not used is given back: {spent:?}");
    let answered = usize::try_from(spent.requests).expect("few");
    assert_eq!(answered, stand.arrived().len());
    let told = stand.told().await;
    let met = told.iter().filter(|kind| matches!(kind, Kind::LimitMet(_)));
    assert_eq!(met.count(), 1, "it is told of once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_met_is_an_error_that_clients_do_not_repeat() {
    let limits = Limits {
        requests: Some(1),
        ..Limits::default()
    };
    let stand = Stand::with(always(10, 10), limits, |_| {}).await;
    assert_eq!(stand.ask(&hello("scripted")).await.0, 200);
    let refused = stand.post("/v1/messages", &hello("scripted")).send().await;
    let refused = refused.expect("an answer");
    assert_eq!(refused.headers()["x-should-retry"], "false");
    let body = refused.json().await.expect("JSON");
    let (kind, message) = error(&body);
    assert_eq!(kind, "permission_error");
    assert!(message.starts_with("LIMIT_REQUESTS: "), "{message}");
    assert_eq!(stand.arrived().len(), 1);
    let told = stand.told().await;
    let Some(Kind::LimitMet(met)) = told.last() else {
        panic!("not told of: {told:?}");
    };
    assert_eq!(
        (met.kind(), met.limit, met.used),
        (LimitKind::Requests, 1, Some(1))
    );
    assert!(met.inside);
}

#[tokio::test(flavor = "multi_thread")]
async fn cost_is_counted_by_the_table_of_prices() {
    let limits = Limits {
        cost_micro_usd: Some(20_000),
        ..Limits::default()
    };
    let stand = Stand::with(always(1_000, 100), limits, |_| {}).await;
    let (status, body) = stand.ask(&hello("claude-sonnet-4-5")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(stand.meter.spent().cost_micro_usd, Some(4_500));
    let (status, body) = stand.ask(&hello("somebody/model")).await;
    assert_eq!(status, 403);
    assert!(error(&body).1.starts_with("LIMIT_COST_UNKNOWN: "), "{body}");
    let mut dear = hello("claude-opus-4-1");
    dear["max_tokens"] = 4_000.into();
    let (status, body) = stand.ask(&dear).await;
    assert_eq!(status, 403);
    assert!(error(&body).1.starts_with("LIMIT_COST: "), "{body}");
    assert_eq!(stand.arrived().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_a_crash_left_open_keeps_what_it_had_used() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let id = user.new_session(&workspace).await;
    let session = SessionId(id.parse().expect("an id"));
    let turn = TurnId::new();
    let key = RequestKey {
        user_id: user.id,
        request_id: None,
        method: "SendMessage",
    };
    let message = Kind::UserMessage(proto::UserMessage::default());
    let message = NewEvent::of_turn(session, turn, message);
    let database = &server.app.database;
    let new = NewTurn {
        id: turn,
        session,
        server: ServerId::new(),
        message,
        title: "a turn".to_owned(),
    };
    let created = database.create_turn(new, key, 1);
    created.await.expect("a turn");
    let usage = |input_tokens| proto::Usage {
        input_tokens,
        requests: 1,
        cost_micro_usd: Some(7),
        ..Default::default()
    };
    let used = [
        Kind::ModelUsage(proto::ModelUsage {
            usage: Some(usage(100)),
            ..Default::default()
        }),
        Kind::InsideRequest(proto::InsideRequest {
            usage: Some(usage(20)),
            ..Default::default()
        }),
    ];
    for kind in used {
        let event = NewEvent::of_turn(session, turn, kind);
        server.app.log.append(event).await.expect("stored");
    }
    assert_eq!(server.app.sessions.recover().await.expect("recovered"), 1);
    let sum = proto::Usage {
        requests: 2,
        cost_micro_usd: Some(14),
        ..usage(120)
    };
    let ended = user.until_turn_ended(&id, 1).await;
    assert_eq!(ended.usage, Some(sum));
    let row = database.session(session).await.expect("read");
    assert_eq!(row.expect("a session").usage, sum);
}

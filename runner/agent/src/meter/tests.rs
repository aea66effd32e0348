//! Limits are never exceeded, and everything that was used is counted.

use std::thread;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::{
    Assembler,
    types::{MessageStart, StreamEvent, TokenUsage},
};

const MODEL: &str = "claude-sonnet-4-5";

fn wanted(input: i64, output: u32) -> Wanted<'static> {
    Wanted {
        model: MODEL,
        input_tokens: input,
        likely_input_tokens: input / 4,
        output_tokens: output,
        least_output_tokens: output,
    }
}

fn meter(limits: Limits) -> Meter {
    Meter::new(limits, Usage::default())
}

fn used(input: i64, output: i64) -> Usage {
    let mut usage = Usage {
        input_tokens: input,
        output_tokens: output,
        requests: 1,
        ..Usage::default()
    };
    usage.cost_micro_usd = cost::of_request(MODEL, &usage);
    usage
}

#[derive(Debug, Clone)]
enum Act {
    /// Input at most, output at most, and the least output.
    Reserve(i64, u32, u32),
    /// Of the n-th open reservation: thousandths of input and output that were used, and whether
    /// the input went to the cache.
    Settle(usize, i64, i64, bool),
    Release(usize),
    Abandon(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1..20_000_i64, 1..5_000_u32, 1..5_000_u32)
            .prop_map(|(input, output, least)| Act::Reserve(input, output, least.min(output))),
        2 => (any::<usize>(), 0..=1_000_i64, 0..=1_000_i64, any::<bool>())
            .prop_map(|(at, input, output, cached)| Act::Settle(at, input, output, cached)),
        1 => any::<usize>().prop_map(Act::Release),
        1 => any::<usize>().prop_map(Act::Abandon),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = |most: i64| proptest::option::of(0..most);
    (limit(500_000), limit(100_000), limit(12)).prop_map(|(cost_micro_usd, tokens, requests)| {
        Limits {
            cost_micro_usd,
            tokens,
            requests,
        }
    })
}

fn within(limit: Option<i64>, value: i64) -> bool {
    limit.is_none_or(|limit| value <= limit)
}

proptest! {
    #[test]
    fn no_order_of_requests_exceeds_a_limit(limits in limits(), acts in prop::collection::vec(act(), 1..60)) {
        let meter = meter(limits);
        let mut open: Vec<(Reservation, i64)> = Vec::new();
        for act in acts {
            match act {
                Act::Reserve(input, output, least) => {
                    let wanted = Wanted { least_output_tokens: least, ..wanted(input, output) };
                    if let Ok(reservation) = meter.reserve(&wanted) {
                        prop_assert!((least..=output).contains(&reservation.output_tokens()));
                        open.push((reservation, input));
                    }
                }
                Act::Settle(at, input, output, cached) if !open.is_empty() => {
                    let (reservation, most) = open.swap_remove(at % open.len());
                    let input = most * input / 1_000;
                    let output = i64::from(reservation.output_tokens()) * output / 1_000;
                    let mut usage = used(input, output);
                    if cached {
                        usage.cache_creation_input_tokens = std::mem::take(&mut usage.input_tokens);
                        usage.cost_micro_usd = cost::of_request(MODEL, &usage);
                    }
                    reservation.settle(&usage);
                }
                Act::Release(at) if !open.is_empty() => {
                    open.swap_remove(at % open.len()).0.release();
                }
                Act::Abandon(at) if !open.is_empty() => drop(open.swap_remove(at % open.len())),
                _ => {}
            }
            let ledger = meter.ledger();
            let cost = ledger.used.cost_micro_usd.unwrap_or(0) + ledger.reserved.cost;
            prop_assert!(within(limits.cost_micro_usd, cost), "{cost} of {limits:?}");
            prop_assert!(within(limits.tokens, tokens(&ledger.used) + ledger.reserved.tokens));
            prop_assert!(within(limits.requests, i64::from(ledger.used.requests) + ledger.reserved.requests));
        }
        drop(open);
        let ledger = meter.ledger();
        prop_assert_eq!((ledger.reserved.cost, ledger.reserved.tokens, ledger.reserved.requests), (0, 0, 0));
        prop_assert_eq!(ledger.used, ledger.spent);
    }

    #[test]
    fn nothing_costs_more_than_the_most(input in 0..300_000_i64, output in 0..100_000_i64, written in 0..=100_i64, read in 0..=100_i64) {
        for model in [MODEL, "claude-haiku-5-5", "claude-opus-4-1"] {
            let written = input * written / 200;
            let read = input * read / 200;
            let usage = Usage {
                input_tokens: input - written - read,
                output_tokens: output,
                cache_creation_input_tokens: written,
                cache_read_input_tokens: read,
                requests: 1,
                cost_micro_usd: None,
            };
            prop_assert!(cost::of_request(model, &usage) <= cost::at_most(model, input, output));
        }
    }
}

#[test]
fn threads_together_never_reserve_more_than_there_is() {
    let limits = Limits {
        tokens: Some(10_000),
        ..Limits::default()
    };
    let meter = meter(limits);
    let held: Vec<Vec<Reservation>> = thread::scope(|scope| {
        let ask = || (0..100).filter_map(|_| meter.reserve(&wanted(90, 10)).ok());
        let asking: Vec<_> = (0..8)
            .map(|_| scope.spawn(move || ask().collect()))
            .collect();
        let done = asking.into_iter().map(|thread| thread.join());
        done.map(|held| held.expect("no panic")).collect()
    });
    assert_eq!(held.iter().map(Vec::len).sum::<usize>(), 100);
    assert_eq!(meter.ledger().reserved.tokens, 10_000);
}

#[test]
fn an_answer_gets_what_the_limits_leave() {
    let limits = Limits {
        tokens: Some(10_000),
        ..Limits::default()
    };
    let meter = meter(limits);
    let wanted = Wanted {
        least_output_tokens: 1_000,
        ..wanted(4_000, 50_000)
    };
    let first = meter.reserve(&wanted).expect("there is room");
    assert_eq!(first.output_tokens(), 6_000);
    let exceeded = meter.reserve(&wanted).expect_err("all is reserved");
    assert_eq!(exceeded.reason(), "LIMIT_TOKENS");
    assert_eq!(
        (exceeded.limit, exceeded.used, exceeded.needed),
        (10_000, Some(10_000), Some(5_000))
    );
    first.settle(&used(3_000, 500));
    let second = meter.reserve(&wanted).expect("the rest was given back");
    assert_eq!(second.output_tokens(), 2_500);
    second.release();
    assert_eq!(meter.spent().requests, 1);
}

#[test]
fn what_was_used_before_counts_and_is_not_spent_again() {
    let limits = Limits {
        requests: Some(2),
        ..Limits::default()
    };
    let meter = Meter::new(limits, used(100, 10));
    meter
        .reserve(&wanted(1, 1))
        .expect("one is left")
        .settle(&used(1, 1));
    let exceeded = meter.reserve(&wanted(1, 1)).expect_err("none is left");
    assert_eq!(exceeded.reason(), "LIMIT_REQUESTS");
    assert_eq!(meter.spent(), used(1, 1));
}

#[test]
fn a_cost_that_is_not_known_is_neither_zero_nor_free() {
    let limits = Limits {
        cost_micro_usd: Some(1_000_000),
        ..Limits::default()
    };
    let unknown = Wanted {
        model: "somebody/model",
        ..wanted(1, 1)
    };
    let exceeded = meter(limits).reserve(&unknown).expect_err("no price");
    assert_eq!(exceeded.reason(), "LIMIT_COST_UNKNOWN");
    assert!(exceeded.detail().message.contains("$1.00"));
    let earlier = Usage {
        cost_micro_usd: None,
        ..used(1, 1)
    };
    let exceeded = Meter::new(limits, earlier).reserve(&wanted(1, 1));
    assert_eq!(
        exceeded.expect_err("what was used is not known").reason(),
        "LIMIT_COST_UNKNOWN"
    );
    let others = Limits {
        tokens: Some(100),
        requests: Some(1),
        ..Limits::default()
    };
    let reservation = meter(others).reserve(&unknown);
    reservation.expect("no limit of cost").release();
}

#[test]
fn a_dropped_request_counts_what_it_has_probably_used() {
    let meter = meter(Limits::default());
    drop(meter.reserve(&wanted(4_000, 10)));
    let spent = meter.spent();
    assert_eq!((spent.input_tokens, spent.requests), (1_000, 1));
    assert_eq!(spent.cost_micro_usd, Some(3_000));
}

#[test]
fn an_answer_that_broke_off_is_measured_by_what_was_seen() {
    let reservation = meter(Limits::default())
        .reserve(&wanted(4_000, 10))
        .expect("no limits");
    let mut answer = Assembler::default();
    let nothing = Measured::of(&answer, MODEL, &reservation);
    assert_eq!(nothing.usage.input_tokens, 1_000);
    assert!(nothing.estimated);
    let message = MessageStart {
        model: "claude-opus-4-5".to_owned(),
        usage: Some(TokenUsage {
            input_tokens: Some(50),
            output_tokens: Some(1),
            ..TokenUsage::default()
        }),
    };
    answer
        .apply(StreamEvent::MessageStart { message })
        .expect("a beginning");
    answer.output_bytes = 4_001;
    let begun = Measured::of(&answer, MODEL, &reservation);
    assert_eq!(
        (begun.usage.input_tokens, begun.usage.output_tokens),
        (50, 1_001)
    );
    assert_eq!(begun.model, "claude-opus-4-5");
    answer.stop_reason = Some("end_turn".to_owned());
    answer.usage.output_tokens = Some(7);
    let whole = Measured::of(&answer, MODEL, &reservation);
    assert_eq!((whole.usage.output_tokens, whole.estimated), (7, false));
    reservation.release();
}

#[test]
fn the_size_of_a_request_counts_images_by_themselves_and_text_by_bytes() {
    let with = |block| json!({ "messages": [{ "role": "user", "content": [block] }] });
    let text = RequestSize::of(&with(json!({ "type": "text", "text": "x".repeat(9_000) })));
    assert!((11_000..11_200).contains(&text.most_tokens()), "{text:?}");
    assert!((2_250..2_300).contains(&text.likely_tokens()), "{text:?}");
    let source =
        json!({ "type": "base64", "media_type": "image/png", "data": "x".repeat(900_000) });
    let block = json!({ "type": "image", "source": source });
    let image = RequestSize::of(&with(block.clone()));
    assert!((7_000..7_300).contains(&image.most_tokens()), "{image:?}");
    let result = json!({ "type": "tool_result", "tool_use_id": "a", "content": [block.clone()] });
    let nested = RequestSize::of(&with(result));
    assert!((7_000..7_300).contains(&nested.most_tokens()), "{nested:?}");
    // In the input of a call it is text.
    let call =
        json!({ "type": "tool_use", "id": "a", "name": "a", "input": { "content": [block] } });
    assert!(RequestSize::of(&with(call)).most_tokens() > 900_000);
    let document = with(json!({ "type": "document", "source": { "type": "base64", "data": "x" } }));
    assert!(RequestSize::of(&document).most_tokens() > 1_000_000);
}

#[test]
fn a_request_that_goes_on_is_bounded_by_what_is_known_of_the_last() {
    let conversation = |length| {
        let text = json!({ "type": "text", "text": "x".repeat(length) });
        RequestSize::of(&json!({ "messages": [{ "role": "user", "content": [text] }] }))
    };
    let (first, second) = (conversation(100_000), conversation(101_000));
    assert_eq!(second.most_tokens_after(&first, 25_000), 28_000);
    assert_eq!(
        second.most_tokens_after(&first, 1_000_000),
        second.most_tokens()
    );
}

#[test]
fn amounts_have_two_digits_and_more_where_they_need_them() {
    let table = [
        (0, "$0.00"),
        (1_500_000, "$1.50"),
        (20_000_000, "$20.00"),
        (12_345, "$0.012345"),
        (1, "$0.000001"),
    ];
    for (amount, text) in table {
        assert_eq!(dollars(amount), text);
    }
}

//! A transcript must neither lose nor double anything, whatever the connection does.

use membrane_proto::v1::{self as pb, BlockKind, event_payload::Kind};

use super::{Activity, Applied, Body, Key, ToolPhase, Transcript};

const TURN: &str = "turn-1";

fn event(sequence: i64, kind: Kind) -> pb::Event {
    pb::Event {
        stream: "sessions/s".to_owned(),
        sequence,
        turn_id: TURN.to_owned(),
        payload: Some(pb::EventPayload {
            kind: Some(kind),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn user(sequence: i64, text: &str) -> pb::Event {
    let text = text.to_owned();
    event(
        sequence,
        Kind::UserMessage(pb::UserMessage {
            text,
            ..Default::default()
        }),
    )
}

fn text(sequence: i64, block: &str, text: &str) -> pb::Event {
    let (block_id, text) = (block.to_owned(), text.to_owned());
    event(sequence, Kind::AgentText(pb::AgentText { block_id, text }))
}

fn started(sequence: i64) -> pb::Event {
    let (model, provider) = ("scripted".to_owned(), "demo".to_owned());
    event(
        sequence,
        Kind::TurnStarted(pb::TurnStarted { model, provider }),
    )
}

fn ended(sequence: i64) -> pb::Event {
    let outcome = pb::TurnOutcome::Completed.into();
    event(
        sequence,
        Kind::TurnEnded(pb::TurnEnded {
            outcome,
            ..Default::default()
        }),
    )
}

fn call(sequence: i64, id: &str) -> pb::Event {
    event(
        sequence,
        Kind::ToolCall(pb::ToolCall {
            tool_call_id: id.to_owned(),
            name: "Bash".to_owned(),
            input_json: r#"{"command":"ls"}"#.to_owned(),
        }),
    )
}

fn result(sequence: i64, id: &str) -> pb::Event {
    let tool_call_id = id.to_owned();
    event(
        sequence,
        Kind::ToolResult(pb::ToolResult {
            tool_call_id,
            ..Default::default()
        }),
    )
}

fn asked(sequence: i64, id: &str) -> pb::Event {
    event(
        sequence,
        Kind::PermissionRequested(pb::PermissionRequested {
            permission_request_id: format!("ask-{id}"),
            tool_call_id: id.to_owned(),
            tool_name: "Bash".to_owned(),
            ..Default::default()
        }),
    )
}

fn answered(sequence: i64, id: &str, decision: pb::PermissionDecision) -> pb::Event {
    event(
        sequence,
        Kind::PermissionResolved(pb::PermissionResolved {
            permission_request_id: format!("ask-{id}"),
            tool_call_id: id.to_owned(),
            decision: decision.into(),
            ..Default::default()
        }),
    )
}

fn delta(kind: BlockKind, block: &str, offset: i64, text: &str) -> pb::Delta {
    pb::Delta {
        block_id: block.to_owned(),
        kind: kind.into(),
        offset,
        text: text.to_owned(),
        turn_id: TURN.to_owned(),
        tool_name: "Bash".to_owned(),
        ..Default::default()
    }
}

fn only_text(transcript: &Transcript) -> (String, bool) {
    let [entry] = transcript.entries() else {
        panic!("{:?}", transcript.entries())
    };
    match &entry.body {
        Body::Text { text, open } => (text.clone(), *open),
        other => panic!("{other:?}"),
    }
}

fn phase(transcript: &Transcript, id: &str) -> ToolPhase {
    match &transcript
        .entry(&Key::Tool(id.to_owned()))
        .expect("a tool card")
        .body
    {
        Body::Tool(tool) => tool.phase(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_repeated_event_changes_nothing() {
    let mut transcript = Transcript::from_events([user(1, "hello"), text(2, "b", "hi")]);
    transcript.take_changes();
    assert_eq!(transcript.event(user(1, "hello")), Applied::Repeated);
    assert_eq!(transcript.event(text(2, "b", "hi")), Applied::Repeated);
    assert_eq!(transcript.entries().len(), 2);
    assert_eq!(transcript.take_changes(), Default::default());
}

#[test]
fn a_missing_event_is_noticed_and_nothing_is_taken() {
    let mut transcript = Transcript::from_events([user(1, "hello")]);
    assert_eq!(transcript.event(text(3, "b", "late")), Applied::Gap);
    assert_eq!(transcript.last_sequence(), 1);
    assert_eq!(transcript.entries().len(), 1);
}

#[test]
fn deltas_grow_one_block_and_repeats_are_harmless() {
    let mut transcript = Transcript::default();
    transcript.delta(&delta(BlockKind::Text, "b", 0, "Grüße"));
    transcript.delta(&delta(BlockKind::Text, "b", 7, " an"));
    transcript.delta(&delta(BlockKind::Text, "b", 7, " an"));
    transcript.delta(&delta(BlockKind::Text, "b", 0, "Grüße"));
    assert_eq!(only_text(&transcript), ("Grüße an".to_owned(), true));
}

#[test]
fn a_block_so_far_replaces_what_is_held() {
    let mut transcript = Transcript::default();
    transcript.delta(&delta(BlockKind::Text, "b", 0, "abc"));
    transcript.delta(&delta(BlockKind::Text, "b", 0, "abcdef"));
    assert_eq!(only_text(&transcript).0, "abcdef");
}

#[test]
fn a_delta_beyond_what_is_held_or_inside_a_character_is_left_out() {
    let mut transcript = Transcript::default();
    transcript.delta(&delta(BlockKind::Text, "unseen", 5, "tail"));
    assert!(transcript.entries().is_empty());
    transcript.delta(&delta(BlockKind::Text, "b", 0, "ü"));
    transcript.delta(&delta(BlockKind::Text, "b", 1, "x"));
    transcript.delta(&delta(BlockKind::Text, "b", 9, "x"));
    transcript.delta(&delta(BlockKind::Text, "b", -1, "x"));
    assert_eq!(only_text(&transcript).0, "ü");
}

#[test]
fn an_open_block_is_replaced_in_place_by_its_stored_event() {
    let mut transcript = Transcript::default();
    transcript.delta(&delta(BlockKind::Text, "b", 0, "half a sen"));
    transcript.event(text(1, "b", "half a sentence"));
    transcript.delta(&delta(BlockKind::Text, "b", 10, "late"));
    assert_eq!(
        only_text(&transcript),
        ("half a sentence".to_owned(), false)
    );
}

#[test]
fn a_result_finds_its_call() {
    let transcript =
        Transcript::from_events([started(1), call(2, "t1"), call(3, "t2"), result(4, "t1")]);
    assert_eq!(transcript.entries().len(), 2);
    assert_eq!(phase(&transcript, "t1"), ToolPhase::Done);
    assert_eq!(phase(&transcript, "t2"), ToolPhase::Running);
}

#[test]
fn tool_input_and_output_stream_into_one_card() {
    let mut transcript = Transcript::default();
    transcript.delta(&delta(BlockKind::ToolInput, "t", 0, r#"{"comm"#));
    assert_eq!(phase(&transcript, "t"), ToolPhase::Writing);
    transcript.event(call(1, "t"));
    transcript.delta(&delta(BlockKind::ToolOutput, "t", 0, "line\n"));
    assert_eq!(phase(&transcript, "t"), ToolPhase::Running);
    let Body::Tool(tool) = &transcript.entries()[0].body else {
        panic!("not a tool")
    };
    assert_eq!(
        (tool.input.as_str(), tool.output.as_str()),
        (r#"{"command":"ls"}"#, "line\n")
    );
    transcript.event(result(2, "t"));
    transcript.delta(&delta(BlockKind::ToolOutput, "t", 0, "line\n"));
    let Body::Tool(tool) = &transcript.entries()[0].body else {
        panic!("not a tool")
    };
    assert_eq!(tool.output, "");
    assert_eq!(transcript.entries().len(), 1);
}

#[test]
fn a_question_waits_until_it_is_answered() {
    let mut transcript = Transcript::from_events([started(1), call(2, "t"), asked(3, "t")]);
    assert_eq!(transcript.activity(), Some(Activity::Waiting));
    assert_eq!(transcript.waiting(), [Key::Tool("t".to_owned())]);
    transcript.event(answered(4, "t", pb::PermissionDecision::Allow));
    assert_eq!(transcript.activity(), Some(Activity::Running));
    assert_eq!(phase(&transcript, "t"), ToolPhase::Running);
    assert!(transcript.waiting().is_empty());
}

#[test]
fn one_answer_of_two_leaves_the_session_waiting() {
    let mut transcript = Transcript::from_events([asked(1, "a"), asked(2, "b")]);
    transcript.event(answered(3, "a", pb::PermissionDecision::Deny));
    assert_eq!(transcript.activity(), Some(Activity::Waiting));
    assert_eq!(phase(&transcript, "a"), ToolPhase::Denied);
}

#[test]
fn the_end_of_a_turn_drops_open_blocks_and_abandons_tools() {
    let mut transcript = Transcript::from_events([started(1), call(2, "t"), asked(3, "u")]);
    transcript.delta(&delta(BlockKind::Text, "b", 0, "never stored"));
    transcript.event(ended(4));
    assert_eq!(transcript.activity(), Some(Activity::Idle));
    assert_eq!(phase(&transcript, "t"), ToolPhase::Abandoned);
    assert_eq!(phase(&transcript, "u"), ToolPhase::Abandoned);
    assert!(transcript.entry(&Key::Block("b".to_owned())).is_none());
    assert!(transcript.waiting().is_empty());
}

#[test]
fn a_retry_drops_what_the_failed_request_had_begun() {
    let mut transcript = Transcript::from_events([started(1)]);
    transcript.delta(&delta(BlockKind::Text, "b", 0, "begun"));
    transcript.event(event(2, Kind::ModelRetry(pb::ModelRetry::default())));
    transcript.delta(&delta(BlockKind::Text, "c", 0, "again"));
    assert_eq!(transcript.entries().len(), 2);
    assert!(transcript.entry(&Key::Block("b".to_owned())).is_none());
}

#[test]
fn an_unknown_kind_is_shown_and_passed() {
    let mut transcript = Transcript::default();
    let mut strange = user(1, "");
    strange.payload = Some(pb::EventPayload::default());
    transcript.event(strange);
    transcript.event(text(2, "b", "on"));
    assert_eq!(transcript.entries()[0].body, Body::Unknown { sequence: 1 });
    assert_eq!(transcript.last_sequence(), 2);
}

#[test]
fn an_earlier_page_joins_calls_to_results_and_keeps_open_blocks() {
    let mut transcript = Transcript::from_events([result(3, "t"), call(4, "u")]);
    transcript.delta(&delta(BlockKind::ToolOutput, "u", 0, "so far"));
    transcript.delta(&delta(BlockKind::Text, "b", 0, "open"));
    transcript.earlier([user(1, "hello"), call(2, "t")]);
    let keys: Vec<_> = transcript
        .entries()
        .iter()
        .map(|entry| entry.key.clone())
        .collect();
    assert_eq!(
        keys,
        [
            Key::Event(1),
            Key::Tool("t".to_owned()),
            Key::Tool("u".to_owned()),
            Key::Block("b".to_owned()),
        ]
    );
    assert_eq!(phase(&transcript, "t"), ToolPhase::Done);
    let Body::Tool(tool) = &transcript.entries()[2].body else {
        panic!("not a tool")
    };
    assert_eq!(tool.output, "so far");
    assert_eq!(
        (transcript.first_sequence(), transcript.last_sequence()),
        (1, 4)
    );
}

#[test]
fn a_turn_sums_up_the_files_it_touched() {
    let edit = |sequence, added| {
        let detail = pb::tool_result::Detail::FileChange(pb::FileChangeDetail {
            path: "src/main.rs".to_owned(),
            lines_added: added,
            lines_removed: 1,
            ..Default::default()
        });
        let tool_call_id = format!("t{sequence}");
        let detail = Some(detail);
        event(
            sequence,
            Kind::ToolResult(pb::ToolResult {
                tool_call_id,
                detail,
                ..Default::default()
            }),
        )
    };
    let transcript = Transcript::from_events([started(1), edit(2, 3), edit(3, 4), ended(4)]);
    let Body::Ended(summary) = &transcript.entries()[2].body else {
        panic!("no summary")
    };
    assert_eq!(summary.provider, "demo");
    let [file] = summary.files.as_slice() else {
        panic!("{:?}", summary.files)
    };
    assert_eq!((file.added, file.removed), (7, 2));
}

#[test]
fn a_waiting_turn_stops_saying_so_when_it_begins() {
    let queued = event(1, Kind::TurnQueued(pb::TurnQueued { ahead: 2 }));
    let mut transcript = Transcript::from_events([queued]);
    assert_eq!(transcript.activity(), Some(Activity::Queued));
    transcript.event(started(2));
    assert_eq!(
        transcript.entries()[0].body,
        Body::Queued {
            ahead: 2,
            over: true
        }
    );
}

#[test]
fn unknown_cost_is_never_shown_as_nothing() {
    let usage = |sequence, cost| {
        let usage = pb::Usage {
            output_tokens: 5,
            cost_micro_usd: cost,
            ..Default::default()
        };
        let usage = Some(usage);
        event(
            sequence,
            Kind::ModelUsage(pb::ModelUsage {
                usage,
                ..Default::default()
            }),
        )
    };
    let transcript =
        Transcript::from_events([usage(1, Some(100)), usage(2, Some(20)), usage(3, None)]);
    assert_eq!(transcript.cost_after(1).micro_usd, 20);
    assert!(transcript.cost_after(1).incomplete);
    assert!(
        !transcript
            .cost_after(0)
            .plus(Default::default())
            .requests
            .is_negative()
    );
}

#[test]
fn changes_name_only_what_moved() {
    let mut transcript = Transcript::from_events([user(1, "hello"), call(2, "t")]);
    transcript.take_changes();
    transcript.delta(&delta(BlockKind::ToolOutput, "t", 0, "x"));
    let changes = transcript.take_changes();
    assert!(!changes.order);
    assert_eq!(
        changes.entries.into_iter().collect::<Vec<_>>(),
        [Key::Tool("t".to_owned())]
    );
}

#[test]
fn every_event_leads_to_the_entry_that_shows_it() {
    let events = [
        user(1, "hello"),
        started(2),
        call(3, "t"),
        text(4, "b", "words"),
        result(5, "t"),
        ended(6),
    ];
    let transcript = Transcript::from_events(events);
    let at = |sequence| transcript.entry_of(sequence).map(|entry| entry.key.clone());
    assert_eq!(at(1), Some(Key::Event(1)));
    assert_eq!(at(2), Some(Key::Event(1)), "it shows nothing of its own");
    assert_eq!(at(3), Some(Key::Tool("t".to_owned())));
    assert_eq!(at(4), Some(Key::Block("b".to_owned())));
    assert_eq!(at(5), Some(Key::Tool("t".to_owned())));
    assert_eq!(at(7), None);
}

#[test]
fn an_earlier_page_names_only_what_it_changes() {
    let mut transcript = Transcript::from_events([result(3, "t"), text(4, "b", "words")]);
    transcript.take_changes();
    transcript.earlier([user(1, "hello"), call(2, "t")]);
    let changes = transcript.take_changes();
    assert!(changes.order);
    assert!(changes.entries.contains(&Key::Tool("t".to_owned())));
    assert!(!changes.entries.contains(&Key::Block("b".to_owned())));
}

#[test]
fn requests_of_programs_are_one_line_and_count() {
    let request = |sequence, turn: &str, error| {
        let kind = Kind::InsideRequest(pb::InsideRequest {
            model: "a-model".to_owned(),
            usage: Some(pb::Usage {
                input_tokens: 10,
                output_tokens: 5,
                requests: 1,
                cost_micro_usd: Some(20),
                ..Default::default()
            }),
            error,
            ..Default::default()
        });
        pb::Event {
            sequence,
            turn_id: turn.to_owned(),
            payload: Some(pb::EventPayload {
                kind: Some(kind),
                ..Default::default()
            }),
            ..Default::default()
        }
    };
    let failed = pb::ErrorDetail {
        reason: "MODEL_OVERLOADED".to_owned(),
        ..Default::default()
    };
    let mut transcript = Transcript::default();
    transcript.event(request(1, "one", None));
    transcript.event(request(2, "one", Some(failed)));
    transcript.event(request(3, "two", None));
    let lines: Vec<(i32, i32)> = transcript
        .entries()
        .iter()
        .map(|entry| match &entry.body {
            Body::Inside(inside) => (inside.requests, inside.failed),
            other => panic!("not of a program: {other:?}"),
        })
        .collect();
    assert_eq!(lines, [(2, 1), (1, 0)]);
    let cost = transcript.cost_after(0);
    assert_eq!((cost.requests, cost.tokens, cost.micro_usd), (3, 45, 60));
}

/// Some of everything, as it is stored.
fn stored() -> Vec<Vec<u8>> {
    use prost::Message as _;
    let events = [
        user(1, "Say what to do."),
        started(2),
        text(3, "block", "Some words."),
        call(4, "call"),
        result(5, "call"),
        asked(6, "call"),
        ended(7),
    ];
    events.iter().map(pb::Event::encode_to_vec).collect()
}

proptest::proptest! {
    // I4: an event that a newer or a broken server sends is shown somehow, and breaks nothing.
    #[test]
    fn no_bytes_break_a_transcript(
        changes in proptest::collection::vec((0_usize..7, 0_usize..200, proptest::num::u8::ANY), 1..12),
    ) {
        use prost::Message as _;
        let mut all = stored();
        for (event, at, byte) in changes {
            let bytes = &mut all[event];
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let mut transcript = Transcript::default();
        for bytes in all {
            if let Ok(event) = pb::Event::decode(&bytes[..]) {
                transcript.event(event);
            }
        }
        let entries = transcript.entries().len();
        proptest::prop_assert!(entries <= 7, "{entries} entries of seven events");
    }
}

use serde_json::{Value, json};

use super::{Message, Piece, break_events, is_signature, pieces, sign, whole};
use crate::scenario::{Block, ErrorReply, Fault, Step};

fn message(content: impl IntoIterator<Item = Block>) -> Message {
    let request = json!({"model": "m", "messages": []});
    Message::new(&request, &Step::content(content))
}

/// The name and the data of each event.
fn read(events: &[Piece]) -> Vec<(String, Value)> {
    let event = |piece: &Piece| {
        let Piece::Event { bytes, .. } = piece else {
            return ("end".to_owned(), Value::Null);
        };
        let text = std::str::from_utf8(bytes).expect("UTF-8");
        let (name, data) = text.trim_end().split_once('\n').expect("two lines");
        let data = data.strip_prefix("data: ").expect("data");
        let name = name.strip_prefix("event: ").expect("a name");
        let data = serde_json::from_str(data).unwrap_or(Value::Null);
        (name.to_owned(), data)
    };
    events.iter().map(event).collect()
}

fn names(events: &[Piece]) -> Vec<String> {
    read(events).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_text_is_a_start_its_pieces_and_a_stop() {
    let events = message([Block::text("Grüße")]).events(3);
    assert_eq!(
        names(&events),
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let events = read(&events);
    assert_eq!(
        events[3].1["delta"],
        json!({"type": "text_delta", "text": "Grü"})
    );
    assert_eq!(events[4].1["delta"]["text"], "ße");
    assert!(
        events
            .iter()
            .all(|(name, data)| data["type"] == name.as_str())
    );
}

#[test]
fn a_stream_starts_empty_and_ends_with_its_reason_and_all_tokens() {
    let events = read(&message([Block::text("hi")]).events(9));
    let start = &events[0].1["message"];
    assert_eq!(start["content"], json!([]));
    assert_eq!(start["stop_reason"], Value::Null);
    assert_eq!(start["usage"]["output_tokens"], 1);
    let delta = &events[events.len() - 2].1;
    assert_eq!(
        delta["delta"],
        json!({"stop_reason": "end_turn", "stop_sequence": null})
    );
    assert!(delta["usage"]["output_tokens"].as_u64() > Some(1));
}

#[test]
fn a_tool_call_streams_its_input_as_pieces_of_json() {
    let call = Block::tool("Bash", json!({"command": "cargo build --offline"}));
    let events = read(&message([call]).events(6));
    assert_eq!(events[1].1["content_block"]["input"], json!({}));
    let parts: Vec<&str> = events
        .iter()
        .filter_map(|(_, data)| data["delta"]["partial_json"].as_str())
        .collect();
    assert!(parts.len() > 3 && parts[0].is_empty());
    let input: Value = serde_json::from_str(&parts.concat()).expect("the pieces are JSON");
    assert_eq!(input["command"], "cargo build --offline");
    assert_eq!(
        events[events.len() - 2].1["delta"]["stop_reason"],
        "tool_use"
    );
}

#[test]
fn thinking_ends_with_its_signature() {
    let events = read(&message([Block::thinking("so")]).events(9));
    let signature = &events[4].1["delta"];
    assert_eq!(signature["type"], "signature_delta");
    assert_eq!(signature["signature"], sign("so"));
    assert!(!is_signature(&sign("so"), "no"));
    assert!(is_signature("of a scenario", "no"));
}

#[test]
fn a_message_has_the_content_that_its_stream_has() {
    let message = message([Block::text("a"), Block::tool("T", json!({"b": 1}))]);
    let json = message.json();
    let events = read(&message.events(9));
    assert_eq!(json["content"][0], json!({"type": "text", "text": "a"}));
    let streamed = events.iter().find(|(_, data)| data["index"] == 1);
    let streamed = streamed.map(|(_, data)| &data["content_block"]["id"]);
    assert_eq!(streamed, Some(&json["content"][1]["id"]));
    assert_eq!(json["stop_reason"], "tool_use");
}

#[test]
fn a_cut_a_stall_and_an_early_end_come_after_so_many_events() {
    let broken = |fault| {
        let mut events = message([Block::text("hi")]).events(9);
        break_events(&mut events, &fault, "req_1");
        events
    };
    assert_eq!(broken(Fault::Cut { after: 2 })[2..], [Piece::Cut]);
    assert_eq!(broken(Fault::Stall { after: 1 })[1..], [Piece::Stall]);
    assert_eq!(broken(Fault::End { after: 3 }).len(), 3);
    assert_eq!(broken(Fault::Cut { after: 99 }).last(), Some(&Piece::Cut));
}

#[test]
fn a_malformed_event_is_a_frame_without_json() {
    let mut events = message([Block::text("hi")]).events(9);
    break_events(&mut events, &Fault::Malformed { after: 3 }, "req_1");
    let events = read(&events);
    assert_eq!(events[3], ("content_block_delta".to_owned(), Value::Null));
    assert_eq!(events[4].0, "content_block_stop");
}

#[test]
fn an_error_event_ends_the_stream() {
    let mut events = message([Block::text("hi")]).events(9);
    let error = ErrorReply::status(529);
    break_events(&mut events, &Fault::Error { after: 3, error }, "req_1");
    let events = read(&events);
    assert_eq!(events.len(), 4);
    assert_eq!(events[3].0, "error");
    assert_eq!(events[3].1["error"]["type"], "overloaded_error");
}

#[test]
fn a_whole_message_breaks_in_its_middle() {
    let message = message([Block::text("hi")]);
    let broken = whole(&message, Some(&Fault::Cut { after: 0 }), "req_1");
    assert_eq!(broken.len(), 2);
    assert_eq!(broken[1], Piece::Cut);
}

#[test]
fn a_call_begins_with_thinking_where_it_is_enabled() {
    let request = json!({"model": "m", "thinking": {"type": "enabled"}, "messages": []});
    let kinds = |content: Vec<Block>| {
        let message = Message::new(&request, &Step::content(content)).json();
        let blocks = message["content"].as_array().cloned().unwrap_or_default();
        blocks
            .iter()
            .map(|block| block["type"].clone())
            .collect::<Vec<_>>()
    };
    let call = || Block::tool("T", json!({}));
    assert_eq!(kinds(vec![call()]), ["thinking", "tool_use"]);
    assert_eq!(
        kinds(vec![Block::thinking("so"), call()]),
        ["thinking", "tool_use"]
    );
    assert_eq!(kinds(vec![Block::text("hi")]), ["text"]);
}

#[test]
fn pieces_are_cut_between_characters() {
    assert_eq!(pieces("äöü", 2).collect::<Vec<_>>(), ["äö", "ü"]);
    assert_eq!(pieces("ab", 0).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(pieces("", 2).count(), 0);
}

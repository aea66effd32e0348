mod log;
mod validity;

use membrane_proto::v1::AgentThinking;
use serde_json::json;

use super::*;
use log::{Log, MODEL, in_short};

#[test]
fn a_plain_conversation_reads_as_it_was() {
    let log = Log::default().says("Hello").text("Hi.").usage().says("Bye");
    assert_eq!(log.read(), ["user: Hello", "assistant: Hi.", "user: Bye"]);
}

#[test]
fn each_model_usage_ends_an_answer_and_results_follow_their_calls() {
    let log = Log::default()
        .says("Look")
        .thinking("hm", "s1")
        .text("Reading.")
        .calls("a")
        .calls("b")
        .usage()
        .result("b", "B")
        .result("a", "A")
        .thinking("so", "s2")
        .calls("c")
        .usage()
        .result("c", "C");
    assert_eq!(
        log.read(),
        [
            "user: Look",
            "assistant: thinking(hm, s1) | Reading. | call a | call b",
            "user: result a: A | result b: B",
            "assistant: thinking(so, s2) | call c",
            "user: result c: C",
        ]
    );
}

#[test]
fn a_call_that_a_crash_left_open_is_answered_with_an_error() {
    let log = Log::default()
        .says("Go")
        .calls("a")
        .calls("b")
        .usage()
        .result("a", "A")
        .ends(TurnOutcome::Abandoned)
        .says("Still there?");
    assert_eq!(
        log.read()[2],
        format!(
            "user: result a: A | result b error: {NO_RESULT} | [A server restart interrupted you here.] | Still there?"
        )
    );
}

#[test]
fn a_crash_before_the_usage_was_stored_loses_nothing() {
    let log = Log::default()
        .says("Go")
        .text("Doing it.")
        .calls("a")
        .ends(TurnOutcome::Abandoned)
        .says("And?");
    assert_eq!(log.read()[1], "assistant: Doing it. | call a");
    assert_eq!(log.read().len(), 3);
}

#[test]
fn an_interrupted_turn_leaves_a_note() {
    let log = Log::default()
        .says("Count")
        .text("1, 2,")
        .usage()
        .ends(TurnOutcome::Interrupted)
        .says("Stop. Sum up.");
    let expected = "user: [The user interrupted you here.] | Stop. Sum up.";
    assert_eq!(log.read()[2], expected);
}

#[test]
fn a_completed_turn_leaves_none() {
    let log = Log::default()
        .says("Count")
        .text("1")
        .usage()
        .ends(TurnOutcome::Completed)
        .says("More");
    assert_eq!(log.read()[2], "user: More");
}

#[test]
fn an_answer_that_was_cut_off_is_continued_by_request() {
    let log = Log::default()
        .says("Tell")
        .text("Once upon")
        .usage()
        .retry();
    let expected = format!("user: {CONTINUE}");
    assert_eq!(
        log.read(),
        ["user: Tell", "assistant: Once upon", expected.as_str()]
    );
    let log = log.text("a time.").usage().says("Thanks");
    assert_eq!(
        log.read()[2..],
        [expected.as_str(), "assistant: a time.", "user: Thanks"]
    );
}

#[test]
fn thinking_without_a_signature_is_left_out() {
    let log = Log::default()
        .says("Go")
        .thinking("hm", "")
        .text("Ok")
        .usage()
        .says("!");
    assert_eq!(log.read()[1], "assistant: Ok");
}

#[test]
fn thinking_that_the_provider_keeps_to_itself_goes_back_with_its_signature() {
    let log = Log::default()
        .says("Go")
        .thinking("", "s")
        .text("Ok")
        .usage()
        .says("!");
    assert_eq!(log.read()[1], "assistant: thinking(, s) | Ok");
}

#[test]
fn redacted_thinking_goes_back_as_it_came() {
    let redacted = Kind::AgentThinking(AgentThinking {
        redacted_data: "xyz".to_owned(),
        ..AgentThinking::default()
    });
    let log = Log::default()
        .says("Go")
        .event(redacted)
        .text("Ok")
        .usage()
        .says("!");
    assert_eq!(log.read()[1], "assistant: redacted(xyz) | Ok");
}

#[test]
fn thinking_at_the_end_of_an_answer_is_left_out() {
    let log = Log::default()
        .says("Go")
        .text("Ok")
        .thinking("hm", "s")
        .usage()
        .says("!");
    assert_eq!(log.read()[1], "assistant: Ok");
    let log = Log::default()
        .says("Go")
        .thinking("hm", "s")
        .usage()
        .retry();
    assert_eq!(log.read(), ["user: Go"]);
}

#[test]
fn thinking_of_another_model_is_left_out() {
    let log = Log::default()
        .turn("1")
        .starts("other")
        .says("Go")
        .thinking("hm", "s")
        .text("Ok")
        .usage()
        .turn("2")
        .starts(MODEL)
        .says("On")
        .thinking("so", "t")
        .text("Well")
        .usage()
        .says("!");
    assert_eq!(log.read()[1], "assistant: Ok");
    assert_eq!(log.read()[3], "assistant: thinking(so, t) | Well");
    let without = messages(&log.events, None);
    assert_eq!(in_short(&without[3]), "assistant: Well");
}

#[test]
fn messages_in_a_row_become_one() {
    let log = Log::default().says("One").says("Two");
    assert_eq!(log.read(), ["user: One | Two"]);
}

#[test]
fn a_queued_message_is_read_when_its_turn_begins() {
    let log = Log::default()
        .turn("1")
        .says("First")
        .starts(MODEL)
        .calls("a")
        .turn("2")
        .says("Second")
        .queued()
        .turn("1")
        .usage()
        .result("a", "A")
        .text("Done")
        .usage()
        .ends(TurnOutcome::Completed)
        .turn("2")
        .starts(MODEL);
    assert_eq!(
        log.read(),
        [
            "user: First",
            "assistant: call a",
            "user: result a: A",
            "assistant: Done",
            "user: Second"
        ]
    );
}

#[test]
fn messages_that_wait_for_a_later_turn_are_not_read_yet() {
    let log = Log::default()
        .turn("1")
        .says("First")
        .starts(MODEL)
        .turn("3")
        .says("Third")
        .queued()
        .turn("2")
        .says("Second")
        .queued()
        .turn("1")
        .text("Done")
        .usage()
        .ends(TurnOutcome::Completed)
        .turn("2")
        .starts(MODEL);
    let expected = ["user: First", "assistant: Done", "user: Second"];
    assert_eq!(log.read(), expected);
    // A message that comes after the turn's start waits as well.
    let later = log.turn("4").says("Fourth").queued();
    assert_eq!(later.read(), expected);
    let log = later
        .turn("2")
        .text("Too")
        .usage()
        .ends(TurnOutcome::Completed)
        .turn("3")
        .starts(MODEL);
    assert_eq!(log.read()[3..], ["assistant: Too", "user: Third"]);
}

#[test]
fn a_message_that_was_taken_back_before_its_turn_is_never_read() {
    let log = Log::default()
        .turn("1")
        .says("First")
        .starts(MODEL)
        .text("Half")
        .turn("2")
        .says("Second")
        .queued()
        .ends(TurnOutcome::Interrupted)
        .turn("1")
        .text("Whole")
        .usage()
        .ends(TurnOutcome::Completed)
        .turn("3")
        .says("Third");
    let expected = ["user: First", "assistant: Half | Whole", "user: Third"];
    assert_eq!(log.read(), expected);
}

#[test]
fn a_message_whose_turn_failed_before_it_began_is_still_there() {
    let log = Log::default()
        .turn("1")
        .says("First")
        .ends(TurnOutcome::Failed)
        .turn("2")
        .says("Again")
        .starts(MODEL);
    assert_eq!(
        log.read(),
        ["user: First | [An error ended your work here.] | Again"]
    );
}

#[test]
fn what_happens_in_a_sub_agent_is_not_part_of_the_conversation() {
    let mut log = Log::default().says("Go").calls("a").usage().text("inner");
    if let Some(payload) = log
        .events
        .last_mut()
        .and_then(|event| event.payload.as_mut())
    {
        "a".clone_into(&mut payload.parent_tool_call_id);
    }
    let log = log.result("a", "A");
    assert_eq!(
        log.read(),
        ["user: Go", "assistant: call a", "user: result a: A"]
    );
}

#[test]
fn input_that_is_no_json_object_is_kept_as_text() {
    for raw in ["{\"file", "[1]", ""] {
        let log = Log::default()
            .says("Go")
            .calls_with("a", raw)
            .usage()
            .result("a", "?");
        let Block::ToolUse { input, .. } = &log.messages()[1].content[0] else {
            panic!("a tool call");
        };
        assert_eq!(json!(input), json!({ "INVALID_JSON": raw }));
    }
}

#[test]
fn images_are_sent_unless_the_result_is_an_error() {
    let log = Log::default()
        .says("Go")
        .calls("a")
        .usage()
        .image("a", false);
    assert_eq!(log.read()[2], "user: result a: image");
    assert_eq!(
        json!(log.messages()[2])["content"][0]["content"][0]["source"]["data"],
        "AQID"
    );
    let log = Log::default()
        .says("Go")
        .calls("a")
        .usage()
        .image("a", true);
    assert_eq!(
        log.read()[2],
        "user: result a error: The tool failed without saying why."
    );
}

#[test]
fn the_wire_form_is_the_messages_apis() {
    let log = Log::default()
        .says("Go")
        .calls("a")
        .usage()
        .result("a", "A");
    assert_eq!(
        json!(log.messages()),
        json!([
            { "role": "user", "content": [{ "type": "text", "text": "Go" }] },
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": "a", "name": "Read", "input": { "file_path": "a.txt" } }
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "a", "content": [{ "type": "text", "text": "A" }] }
            ] },
        ])
    );
}

#[test]
fn what_is_attached_is_named_and_seen_before_the_words() {
    let log = Log::default().shows(
        "What is wrong here?",
        &[
            ("shots/a.png", Some("image/png")),
            ("notes.txt", None),
            ("a.tiff", Some("image/tiff")),
        ],
    );
    assert_eq!(
        log.read(),
        [
            "user: [Attached file: /workspace/shots/a.png] | image(image/png) | \
          [Attached file: /workspace/notes.txt] | [Attached file: /workspace/a.tiff] | \
          What is wrong here?"
        ]
    );
}

use std::fs;

use membrane_proto::v1::{BlockKind, TurnOutcome, event_payload::Kind};
use serde_json::json;

use crate::{
    played::result_text,
    stage::{Do, Seen, Stage, puppet, steps},
};

#[tokio::test]
async fn a_tool_runs_and_its_result_is_the_models_next_message() {
    let mut stage = Stage::new(puppet()).await;
    fs::write(stage.files.join("a.txt"), "alpha\n").expect("a file");
    let played = stage.play("!say Looking.\n!read a.txt").await;

    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    assert_eq!(
        played.read()[..3],
        ["text: Looking.", "call Read", "usage: tool_use"]
    );
    let (Kind::ToolCall(call), Kind::ToolResult(result)) = (&played.events[1], &played.events[3])
    else {
        panic!("{:?}", played.read());
    };
    assert_eq!(call.tool_call_id, result.tool_call_id);
    assert!(result.duration.is_some() && !result.is_error);
    assert!(result_text(&played.events[3]).contains("alpha"));

    let body = stage.last_body();
    let answer = &body["messages"][2]["content"][0];
    assert_eq!(answer["type"], "tool_result");
    assert_eq!(answer["tool_use_id"], call.tool_call_id.as_str());
    assert!(
        answer["content"][0]["text"]
            .as_str()
            .expect("text")
            .contains("alpha")
    );
}

#[tokio::test]
async fn the_input_of_a_call_is_shown_while_it_grows() {
    let mut stage = Stage::new(puppet()).await;
    let played = stage.play("!write notes.txt some words for the file").await;
    let Kind::ToolCall(call) = &played.events[0] else {
        panic!("{:?}", played.read())
    };
    let (id, kind, text) = &played.blocks()[0];
    assert_eq!((id, *kind), (&call.tool_call_id, BlockKind::ToolInput));
    let shown: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let stored: serde_json::Value = serde_json::from_str(&call.input_json).expect("JSON");
    assert_eq!(shown, stored);
    let first = &played.deltas[0];
    assert_eq!(
        (first.tool_name.as_str(), first.text.as_str()),
        ("Write", "")
    );
}

#[tokio::test]
async fn calls_of_one_answer_are_answered_in_one_message_in_their_order() {
    let mut stage = Stage::new(puppet()).await;
    for name in ["a", "b", "c"] {
        fs::write(stage.files.join(name), format!("content of {name}")).expect("a file");
    }
    let played = stage
        .play("!parallel\n!read a\n!read b\n!read c\n!end")
        .await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    let body = stage.last_body();
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(3));
    for (index, name) in ["a", "b", "c"].iter().enumerate() {
        let call = &body["messages"][1]["content"][index];
        let result = &body["messages"][2]["content"][index];
        assert_eq!(call["id"], result["tool_use_id"]);
        assert!(
            result.to_string().contains(&format!("content of {name}")),
            "{result}"
        );
    }
}

/// A write between two reads of the same file: what was written is what the second one sees.
#[tokio::test]
async fn a_call_that_changes_something_waits_for_those_before_and_those_after_wait_for_it() {
    let mut stage = Stage::new(puppet()).await;
    fs::write(stage.files.join("a"), "old").expect("a file");
    let played = stage
        .play("!parallel\n!read a\n!write a new\n!read a\n!end")
        .await;
    let results: Vec<String> = played
        .events
        .iter()
        .filter(|kind| matches!(kind, Kind::ToolResult(_)))
        .map(result_text)
        .collect();
    assert!(results[0].contains("old"), "{results:?}");
    assert!(results[2].contains("new"), "{results:?}");
}

#[tokio::test]
async fn every_result_is_stored_before_the_model_is_asked_again() {
    let mut stage = Stage::new(puppet()).await;
    fs::write(stage.files.join("a"), "alpha").expect("a file");
    let model = stage.model.clone();
    let mut requests_at_result = None;
    let played = stage
        .play_with(
            "!read a",
            |_| {},
            |seen| {
                if let Seen::Event(Kind::ToolResult(_)) = seen {
                    requests_at_result = Some(model.requests().len());
                }
                Do::Nothing
            },
        )
        .await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    assert_eq!(requests_at_result, Some(1));
    assert_eq!(stage.requests().len(), 2);
}

#[tokio::test]
async fn a_tool_that_is_not_allowed_is_never_called() {
    let mut stage = Stage::new(puppet()).await;
    let only_read =
        |spec: &mut membrane_agent::TurnSpec| spec.allowed_tools = vec!["Read".to_owned()];
    let played = stage
        .play_with("!write a.txt hello", only_read, |_| Do::Nothing)
        .await;
    assert_eq!(
        played.read()[2],
        "result error: There is no tool named Write here."
    );
    assert!(!stage.files.join("a.txt").exists());
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
}

#[tokio::test]
async fn a_tool_that_does_not_exist_is_an_error_that_the_model_is_told() {
    let mut stage = Stage::new(steps(json!([
        { "content": [{ "type": "tool_use", "name": "Teleport", "input": {} }] },
        { "content": [{ "type": "text", "text": "Pity." }] },
    ])))
    .await;
    let allow =
        |spec: &mut membrane_agent::TurnSpec| spec.allowed_tools.push("Teleport".to_owned());
    let played = stage.play_with("Go", allow, |_| Do::Nothing).await;
    assert_eq!(
        played.read()[2],
        "result error: There is no tool named Teleport here."
    );
    assert_eq!(
        stage.last_body()["messages"][2]["content"][0]["is_error"],
        true
    );
}

#[tokio::test]
async fn the_agents_list_is_stored_after_its_result() {
    let mut stage = Stage::new(puppet()).await;
    let played = stage.play("!todo [x] first; [~] second; third").await;
    let read = played.read();
    assert!(read[2].starts_with("result: "), "{read:?}");
    assert_eq!(read[3], "todos: 3");
}

#[tokio::test]
async fn a_commands_output_is_shown_while_it_runs() {
    let mut stage = Stage::new(puppet()).await;
    let played = stage.play("!bash echo one; echo two").await;
    assert_eq!(
        played.report.outcome,
        TurnOutcome::Completed,
        "{:?}",
        played.read()
    );
    let Kind::ToolCall(call) = &played.events[0] else {
        panic!("{:?}", played.read())
    };
    let output = played
        .blocks()
        .into_iter()
        .find(|block| block.1 == BlockKind::ToolOutput);
    let (id, _, text) = output.expect("output");
    assert_eq!(
        (id.as_str(), text.as_str()),
        (call.tool_call_id.as_str(), "one\ntwo\n")
    );
    assert!(result_text(&played.events[2]).contains("one\ntwo"));
}

#[tokio::test]
async fn a_call_id_that_was_used_before_is_replaced() {
    let call = json!({ "type": "tool_use", "id": "toolu_same", "name": "TodoWrite", "input": { "todos": [] } });
    let mut stage = Stage::new(steps(json!([
        { "times": 3, "content": [call] },
        { "content": [{ "type": "text", "text": "Done." }] },
    ])))
    .await;
    let played = stage.play("Go").await;
    assert_eq!(
        played.report.outcome,
        TurnOutcome::Completed,
        "{:?}",
        played.report
    );
    let mut ids: Vec<&str> = played
        .events
        .iter()
        .filter_map(|kind| match kind {
            Kind::ToolCall(call) => Some(call.tool_call_id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!((ids.len(), ids[0]), (3, "toolu_same"));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

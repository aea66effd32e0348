use std::time::Duration;

use membrane_agent::{PermissionMode, TurnSpec};
use membrane_proto::v1::{BlockKind, TurnOutcome, event_payload::Kind};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    played::Played,
    stage::{Do, Seen, Stage, puppet, steps},
};

/// Cancels when a block has grown to this many deltas.
fn cancel_at(kind: BlockKind, mut count: usize) -> impl FnMut(Seen<'_>) -> Do {
    move |seen| match seen {
        Seen::Delta(delta) if delta.kind() == kind => {
            count = count.saturating_sub(1);
            if count == 0 { Do::Cancel } else { Do::Nothing }
        }
        _ => Do::Nothing,
    }
}

/// Plays a turn that is interrupted, and then another one, whose request the scripted model would
/// refuse if the log were not a valid conversation.
async fn interrupted(
    stage: &mut Stage,
    prompt: &str,
    change: impl FnOnce(&mut TurnSpec),
    react: impl FnMut(Seen<'_>) -> Do,
) -> (Played, Value) {
    let turn = stage.play_with(prompt, change, react);
    let played = timeout(Duration::from_secs(60), turn)
        .await
        .expect("an end");
    assert_eq!(played.report.outcome, TurnOutcome::Interrupted);
    stage.cancel = tokio_util::sync::CancellationToken::new();
    stage.model.set_scenario(puppet());
    let next = stage.play("And now?").await;
    assert_eq!(
        next.report.outcome,
        TurnOutcome::Completed,
        "{:?}",
        next.report.error
    );
    let messages = stage.last_body()["messages"].clone();
    assert!(
        messages
            .to_string()
            .contains("[The user interrupted you here.]")
    );
    (played, messages)
}

#[tokio::test]
async fn an_interrupt_in_mid_stream_keeps_the_words_that_were_seen() {
    let mut stage = Stage::new(puppet()).await;
    let prompt = "!chunk-ms 20\n!chunk-chars 5\n!say One two three four five six seven eight nine ten eleven twelve";
    let (played, messages) =
        interrupted(&mut stage, prompt, |_| {}, cancel_at(BlockKind::Text, 3)).await;

    let [(_, _, seen)] = &played.blocks()[..] else {
        panic!("one block")
    };
    assert!(seen.len() >= 15 && seen.len() < 60, "{seen}");
    assert_eq!(
        played.read(),
        [format!("text: {seen}"), "usage: interrupted".to_owned()]
    );
    assert_eq!(messages[1]["content"][0]["text"], seen.as_str());
}

#[tokio::test]
async fn an_interrupt_in_mid_thinking_leaves_thinking_that_is_not_sent_back() {
    let mut stage = Stage::new(puppet()).await;
    let prompt = "!chunk-ms 20\n!chunk-chars 5\n!think One two three four five six seven eight nine ten eleven twelve";
    let (played, messages) = interrupted(
        &mut stage,
        prompt,
        |spec| spec.thinking_budget_tokens = 2_000,
        cancel_at(BlockKind::Thinking, 3),
    )
    .await;
    assert!(
        played.read()[0].starts_with("thinking: One"),
        "{:?}",
        played.read()
    );
    assert_eq!(messages.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn an_interrupt_in_the_middle_of_a_calls_input_leaves_no_call() {
    let mut stage = Stage::new(puppet()).await;
    let prompt =
        "!chunk-ms 20\n!chunk-chars 5\n!write a.txt one two three four five six seven eight nine";
    let (played, _) = interrupted(
        &mut stage,
        prompt,
        |_| {},
        cancel_at(BlockKind::ToolInput, 4),
    )
    .await;
    assert_eq!(played.read(), ["usage: interrupted"]);
}

#[tokio::test]
async fn an_interrupt_after_a_call_and_before_the_answers_end_answers_the_call() {
    let mut stage = Stage::new(steps(json!([{
        "pace": { "chunk_ms": 20, "chunk_chars": 5 },
        "content": [
            { "type": "tool_use", "name": "Write", "input": { "file_path": "a", "content": "b" } },
            { "type": "text", "text": "And while this is written, some more words." },
        ],
    }])))
    .await;
    let (played, messages) =
        interrupted(&mut stage, "Go", |_| {}, cancel_at(BlockKind::Text, 2)).await;
    let read = played.read();
    assert_eq!(read[0], "call Write");
    assert_eq!(
        read[2..],
        [
            "usage: interrupted",
            "result error: The call was interrupted before it was done."
        ]
    );
    assert!(!stage.files.join("a").exists());
    assert_eq!(messages[2]["content"][0]["type"], "tool_result");
}

#[tokio::test]
async fn an_interrupt_in_the_middle_of_a_command_ends_it() {
    let mut stage = Stage::new(puppet()).await;
    let prompt = "!bash echo begun; sleep 300; echo ended";
    let begun = tokio::time::Instant::now();
    let (played, messages) = interrupted(
        &mut stage,
        prompt,
        |_| {},
        cancel_at(BlockKind::ToolOutput, 1),
    )
    .await;
    assert!(begun.elapsed() < Duration::from_secs(60));
    let [.., Kind::ToolResult(result)] = &played.events[..] else {
        panic!("{:?}", played.read());
    };
    assert!(result.duration.is_some());
    let told = messages[2]["content"][0].to_string();
    assert!(
        told.contains("interrupted") && !told.contains("ended\""),
        "{told}"
    );
}

#[tokio::test]
async fn calls_that_had_not_begun_are_answered_too() {
    let mut stage = Stage::new(puppet()).await;
    let prompt = "!parallel\n!bash echo begun; sleep 300\n!write a.txt hello\n!read b.txt\n!end";
    let (played, messages) = interrupted(
        &mut stage,
        prompt,
        |_| {},
        cancel_at(BlockKind::ToolOutput, 1),
    )
    .await;
    let results = played
        .read()
        .iter()
        .filter(|line| line.starts_with("result"))
        .count();
    assert_eq!(results, 3, "{:?}", played.read());
    assert!(!stage.files.join("a.txt").exists());
    let answered = messages[2]["content"].as_array().expect("blocks");
    let answered = answered
        .iter()
        .filter(|block| block["type"] == "tool_result")
        .count();
    assert_eq!(answered, 3);
}

#[tokio::test]
async fn an_interrupt_while_a_person_is_asked_ends_the_waiting() {
    let mut stage = Stage::new(puppet()).await;
    let (played, _) = interrupted(
        &mut stage,
        "!bash true",
        |spec| spec.permission_mode = PermissionMode::Default,
        |seen| match seen {
            Seen::Ask => Do::Cancel,
            _ => Do::Nothing,
        },
    )
    .await;
    assert_eq!(
        played.read()[2..],
        ["result error: The call was interrupted before it was done."]
    );
}

#[tokio::test]
async fn an_interrupt_between_two_attempts_ends_the_waiting() {
    let mut stage = Stage::new(steps(json!([{ "times": 9, "error": { "status": 529 } }]))).await;
    let cancel = |seen: Seen<'_>| match seen {
        Seen::Event(Kind::ModelRetry(_)) => Do::Cancel,
        _ => Do::Nothing,
    };
    let (played, _) = interrupted(&mut stage, "Hello", |_| {}, cancel).await;
    assert_eq!(played.read(), ["retry 1: MODEL_OVERLOADED"]);
}

#[tokio::test]
async fn an_interrupt_before_the_turn_sends_nothing() {
    let mut stage = Stage::new(puppet()).await;
    stage.cancel.cancel();
    let played = stage.play("Hello").await;
    assert_eq!(played.report.outcome, TurnOutcome::Interrupted);
    assert_eq!((stage.requests().len(), played.events.len()), (0, 0));
}

#[tokio::test]
async fn a_host_that_is_gone_abandons_the_turn_wherever_it_is() {
    let prompts = [
        ("!say Words", 3),
        ("!todo one", 8),
        ("!bash echo begun; sleep 300", 4),
    ];
    for (prompt, happenings) in prompts {
        for leave_at in 0..happenings {
            let mut stage = Stage::new(puppet()).await;
            let mut seen = 0;
            let leave = |_: Seen<'_>| {
                seen += 1;
                if seen > leave_at {
                    Do::Leave
                } else {
                    Do::Nothing
                }
            };
            let turn = stage.play_with(prompt, |_| {}, leave);
            let played = timeout(Duration::from_secs(60), turn)
                .await
                .expect("an end");
            assert_eq!(
                played.report.outcome,
                TurnOutcome::Abandoned,
                "{prompt} {leave_at}"
            );
        }
    }
}

#[tokio::test]
async fn a_host_that_is_gone_ends_a_command_that_says_nothing() {
    let mut stage = Stage::new(puppet()).await;
    let leave = |seen: Seen<'_>| match seen {
        Seen::Delta(delta) if delta.kind() == BlockKind::ToolOutput => Do::Leave,
        _ => Do::Nothing,
    };
    let begun = tokio::time::Instant::now();
    let played = stage
        .play_with("!bash echo begun; sleep 300", |_| {}, leave)
        .await;
    assert_eq!(played.report.outcome, TurnOutcome::Abandoned);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

//! A log that ends wherever a crash left it is a conversation that the model takes. The scripted
//! model refuses what the real API would refuse.

use std::fs;

use membrane_proto::v1::{TurnEnded, TurnOutcome, event_payload::Kind};

use crate::stage::{Do, Stage, event, puppet};

#[tokio::test]
async fn a_conversation_goes_on_after_a_crash_at_any_event() {
    let prompt =
        "!think Hm.\n!say Looking.\n!parallel\n!read a.txt\n!glob *\n!end\n!todo one\n!say Done.";
    let budget = |spec: &mut membrane_agent::TurnSpec| spec.thinking_budget_tokens = 2_000;
    let mut stage = Stage::new(puppet()).await;
    fs::write(stage.files.join("a.txt"), "alpha").expect("a file");
    stage.play_with(prompt, budget, |_| Do::Nothing).await;
    let whole = stage.log.clone();
    assert!(whole.len() > 12, "{}", whole.len());

    for crashed_at in 1..whole.len() {
        stage.log = whole[..crashed_at].to_vec();
        let ended = TurnEnded {
            outcome: TurnOutcome::Abandoned.into(),
            ..TurnEnded::default()
        };
        stage.log.push(event("turn-1", Kind::TurnEnded(ended)));
        let played = stage
            .play_with("Still there?", budget, |_| Do::Nothing)
            .await;
        assert_eq!(
            played.report.outcome,
            TurnOutcome::Completed,
            "{crashed_at}: {:?}",
            played.report
        );
        let messages = stage.last_body()["messages"].to_string();
        assert!(messages.contains("[A server restart interrupted you here.]"));
        assert!(messages.contains("Still there?"));
    }
}

/// The same requests as without a restart: nothing of the conversation is only in memory.
#[tokio::test]
async fn what_the_model_is_shown_does_not_depend_on_memory() {
    let mut stage = Stage::new(puppet()).await;
    fs::write(stage.files.join("a.txt"), "alpha").expect("a file");
    stage.play("!say One\n!read a.txt\n!say Two\n!glob *").await;
    let live = stage.last_body()["messages"].clone();
    stage.play("Next").await;
    let rebuilt = stage.last_body()["messages"].clone();
    let live = without_marks(&live);
    let rebuilt = without_marks(&rebuilt);
    assert!(live.len() > 4);
    assert_eq!(rebuilt[..live.len()], live[..]);
}

#[tokio::test]
async fn a_turn_with_another_model_leaves_the_other_models_thinking_out() {
    let mut stage = Stage::new(puppet()).await;
    let budget = |spec: &mut membrane_agent::TurnSpec| spec.thinking_budget_tokens = 2_000;
    let another = |spec: &mut membrane_agent::TurnSpec| spec.model = "another".to_owned();
    let nothing = |_: crate::stage::Seen<'_>| Do::Nothing;
    stage
        .play_with("!think Hm.\n!say Well.", budget, nothing)
        .await;
    stage.play_with("Next", another, nothing).await;
    assert_eq!(first_block(&stage)["type"], "text");
    stage.play_with("Next", budget, nothing).await;
    assert_eq!(first_block(&stage)["type"], "thinking");
}

/// The first block of the model's first answer, as the newest request has it.
fn first_block(stage: &Stage) -> serde_json::Value {
    stage.last_body()["messages"][1]["content"][0].clone()
}

fn without_marks(messages: &serde_json::Value) -> Vec<serde_json::Value> {
    let mut messages = messages.as_array().expect("messages").clone();
    for message in &mut messages {
        for block in message["content"].as_array_mut().expect("blocks") {
            block
                .as_object_mut()
                .expect("a block")
                .remove("cache_control");
        }
    }
    messages
}

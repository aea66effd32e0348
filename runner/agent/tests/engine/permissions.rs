use membrane_agent::{PermissionMode, TurnSpec};
use membrane_proto::v1::{PermissionDecision, TurnOutcome};

use crate::stage::{Do, Seen, Stage, puppet};

fn mode(mode: PermissionMode) -> impl FnOnce(&mut TurnSpec) {
    move |spec| spec.permission_mode = mode
}

fn answer(decision: PermissionDecision, reason: &'static str) -> impl FnMut(Seen<'_>) -> Do {
    move |seen| match seen {
        Seen::Ask => Do::Answer(decision, reason),
        _ => Do::Nothing,
    }
}

#[tokio::test]
async fn a_call_that_is_allowed_runs() {
    let mut stage = Stage::new(puppet()).await;
    let allow = answer(PermissionDecision::Allow, "");
    let played = stage
        .play_with("!write a.txt hello", mode(PermissionMode::Default), allow)
        .await;

    let [ask] = &played.asks[..] else {
        panic!("one question")
    };
    assert_eq!(ask.tool_name, "Write");
    assert!(ask.input_json.contains("hello"));
    assert!(!ask.explanation.is_empty());
    let text = std::fs::read_to_string(stage.files.join("a.txt")).expect("the file");
    assert_eq!(text.trim_end(), "hello");
}

#[tokio::test]
async fn a_call_that_is_denied_does_not_run_and_the_model_is_told_why() {
    let mut stage = Stage::new(puppet()).await;
    let deny = answer(PermissionDecision::Deny, "not in this directory");
    let played = stage
        .play_with("!write a.txt hello", mode(PermissionMode::Default), deny)
        .await;

    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    assert!(!stage.files.join("a.txt").exists());
    let told = stage.last_body()["messages"][2]["content"][0].clone();
    assert_eq!(told["is_error"], true);
    let text = told["content"][0]["text"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(
        text.contains("denied") && text.contains("not in this directory"),
        "{text}"
    );
}

#[tokio::test]
async fn reading_is_never_asked_for_and_modes_decide_about_the_rest() {
    let table = [
        (PermissionMode::Default, vec!["Write", "Bash"]),
        (PermissionMode::AcceptEdits, vec!["Bash"]),
        (PermissionMode::BypassPermissions, vec![]),
    ];
    for (chosen, expected) in table {
        let mut stage = Stage::new(puppet()).await;
        let prompt = "!parallel\n!glob *\n!write a.txt hello\n!todo one\n!bash true\n!end";
        let allow = answer(PermissionDecision::Allow, "");
        let played = stage.play_with(prompt, mode(chosen), allow).await;
        let asked: Vec<&str> = played
            .asks
            .iter()
            .map(|ask| ask.tool_name.as_str())
            .collect();
        assert_eq!(asked, expected, "{chosen:?}");
        assert_eq!(played.report.outcome, TurnOutcome::Completed);
    }
}

#[tokio::test]
async fn a_question_that_nobody_will_answer_abandons_the_turn() {
    let mut stage = Stage::new(puppet()).await;
    let leave = |seen: Seen<'_>| match seen {
        Seen::Ask => Do::Leave,
        _ => Do::Nothing,
    };
    let played = stage
        .play_with("!bash true", mode(PermissionMode::Default), leave)
        .await;
    assert_eq!(played.report.outcome, TurnOutcome::Abandoned);
}

use membrane_agent::SystemPrompt;
use membrane_proto::v1::{BlockKind, TurnOutcome, event_payload::Kind};
use serde_json::json;

use crate::stage::{Do, Stage, puppet, steps};

#[tokio::test]
async fn an_answer_is_shown_while_it_grows_and_stored_when_it_is_complete() {
    let text = "Grüße aus dem Süden: 🌍 — and a second sentence that takes several pieces.";
    let mut stage = Stage::new(steps(
        json!([{ "content": [{ "type": "text", "text": text }] }]),
    ))
    .await;
    let played = stage.play("Hello").await;

    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    assert_eq!(
        played.read(),
        [format!("text: {text}"), "usage: end_turn".to_owned()]
    );
    let Kind::AgentText(stored) = &played.events[0] else {
        panic!("text")
    };
    assert!(played.deltas.len() > 3);
    assert_eq!(
        played.blocks(),
        [(stored.block_id.clone(), BlockKind::Text, text.to_owned())]
    );
}

#[tokio::test]
async fn thinking_is_asked_for_shown_and_sent_back_with_its_signature() {
    let mut stage = Stage::new(puppet()).await;
    fs_err(&stage, "a.txt", "alpha");
    let prompt = "!think First I look.\n!read a.txt";
    let played = stage
        .play_with(
            prompt,
            |spec| spec.thinking_budget_tokens = 2_000,
            |_| Do::Nothing,
        )
        .await;

    assert_eq!(
        played.report.outcome,
        TurnOutcome::Completed,
        "{:?}",
        played.report
    );
    assert_eq!(played.read()[..2], ["thinking: First I look.", "call Read"]);
    assert_eq!(played.blocks()[0].1, BlockKind::Thinking);
    let Kind::AgentThinking(thinking) = &played.events[0] else {
        panic!("thinking")
    };
    assert!(thinking.duration.is_some());

    let body = stage.last_body();
    assert_eq!(
        body["thinking"],
        json!({ "type": "enabled", "budget_tokens": 2_000 })
    );
    assert!(body["max_tokens"].as_u64() > Some(10_000));
    let sent_back = &body["messages"][1]["content"][0];
    assert_eq!(sent_back["thinking"], "First I look.");
    assert_eq!(sent_back["signature"], thinking.signature.as_str());
    assert_ne!(thinking.signature, "");
}

#[tokio::test]
async fn redacted_thinking_is_stored_and_sent_back_as_it_came() {
    let mut stage = Stage::new(steps(json!([
        { "content": [
            { "type": "redacted_thinking", "data": "opaque" },
            { "type": "text", "text": "Well." },
        ] },
        { "content": [{ "type": "text", "text": "Bye." }] },
    ])))
    .await;
    stage.play("Hello").await;
    stage.play("Bye").await;
    let sent_back = &stage.last_body()["messages"][1]["content"][0];
    assert_eq!(
        *sent_back,
        json!({ "type": "redacted_thinking", "data": "opaque" })
    );
}

#[tokio::test]
async fn the_system_prompt_is_the_engines_or_follows_it_or_replaces_it() {
    let mut stage = Stage::new(puppet()).await;
    let own = || "Answer in French.".to_owned();
    let mut system = Vec::new();
    for prompt in [
        SystemPrompt::Default,
        SystemPrompt::Append(own()),
        SystemPrompt::Replace(own()),
    ] {
        stage
            .play_with("Hello", |spec| spec.system_prompt = prompt, |_| Do::Nothing)
            .await;
        system.push(stage.last_body()["system"].clone());
    }
    let [default, append, replace] = &system[..] else {
        panic!("three requests")
    };
    assert_eq!(default.as_array().map(Vec::len), Some(1));
    assert_eq!(append[0]["text"], default[0]["text"]);
    assert_eq!(append[1]["text"], "Answer in French.");
    assert_eq!(replace.as_array().map(Vec::len), Some(1));
    assert_eq!(replace[0]["text"], "Answer in French.");
}

#[tokio::test]
async fn only_allowed_tools_are_offered() {
    let mut stage = Stage::new(puppet()).await;
    let allowed = || vec!["Grep".to_owned(), "Read".to_owned(), "Teleport".to_owned()];
    stage
        .play_with(
            "Hello",
            |spec| spec.allowed_tools = allowed(),
            |_| Do::Nothing,
        )
        .await;
    let body = stage.last_body();
    let tools = body["tools"].as_array().expect("tools");
    let names: Vec<_> = tools.iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["Read", "Grep"]);
}

#[tokio::test]
async fn the_prefix_is_marked_for_the_cache_at_system_tools_and_last_message() {
    let mut stage = Stage::new(puppet()).await;
    fs_err(&stage, "a.txt", "alpha");
    stage.play("!read a.txt").await;
    let mark = json!({ "type": "ephemeral" });
    for request in stage.requests() {
        let body = request.body;
        let marked = body.to_string().matches("cache_control").count();
        assert_eq!(marked, 3, "{body}");
        assert_eq!(last(&body["system"])["cache_control"], mark);
        assert_eq!(last(&body["tools"])["cache_control"], mark);
        assert_eq!(
            last(&last(&body["messages"])["content"])["cache_control"],
            mark
        );
    }
}

#[tokio::test]
async fn what_requests_used_and_cost_is_added_up() {
    let usage = json!({
        "input_tokens": 1_000, "output_tokens": 100,
        "cache_creation_input_tokens": 2_000, "cache_read_input_tokens": 3_001,
    });
    let mut stage = Stage::new(steps(json!([
        { "usage": usage, "content": [{ "type": "tool_use", "name": "TodoWrite", "input": { "todos": [] } }] },
        { "usage": usage, "content": [{ "type": "text", "text": "Done." }] },
    ])))
    .await;
    let model = |spec: &mut membrane_agent::TurnSpec| spec.model = "claude-sonnet-4-5".to_owned();
    let played = stage.play_with("Go", model, |_| Do::Nothing).await;

    // 1,000 × 3 + 100 × 15 + 2,000 × 3.75 + 3,001 × 0.3 = 12,900.3, twice.
    let usage = &played.report.usage;
    assert_eq!(usage.cost_micro_usd, Some(2 * 12_900));
    assert_eq!(
        (usage.requests, usage.input_tokens, usage.output_tokens),
        (2, 2_000, 200)
    );
    assert_eq!(usage.cache_creation_input_tokens, 4_000);
    assert_eq!(usage.cache_read_input_tokens, 6_002);
    let Kind::ModelUsage(one) = &played.events[1] else {
        panic!("{:?}", played.read())
    };
    assert_eq!(
        one.usage.as_ref().and_then(|usage| usage.cost_micro_usd),
        Some(12_900)
    );
}

#[tokio::test]
async fn the_scripted_model_costs_nothing_and_an_unknown_one_has_no_cost() {
    let mut stage = Stage::new(puppet()).await;
    let played = stage.play("Hello").await;
    assert_eq!(played.report.usage.cost_micro_usd, Some(0));
    let model = |spec: &mut membrane_agent::TurnSpec| spec.model = "somebody/model".to_owned();
    let played = stage.play_with("Hello", model, |_| Do::Nothing).await;
    assert!(played.report.usage.input_tokens > 0);
    assert_eq!(played.report.usage.cost_micro_usd, None);
}

#[tokio::test]
async fn an_answer_at_the_output_limit_says_so() {
    let mut stage = Stage::new(puppet()).await;
    let played = stage.play("!say Half a\n!stop max_tokens").await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    assert_eq!(
        played.read(),
        [
            "text: Half a",
            "usage: max_tokens",
            "notice: MODEL_MAX_TOKENS"
        ]
    );
}

#[tokio::test]
async fn a_refusal_is_a_failure_with_its_own_reason_and_runs_no_tool() {
    let mut stage = Stage::new(steps(json!([{
        "content": [{ "type": "tool_use", "name": "Write", "input": { "file_path": "a", "content": "b" } }],
        "stop_reason": "refusal",
    }])))
    .await;
    let played = stage.play("Hello").await;
    assert_eq!(
        (played.report.outcome, played.reason()),
        (TurnOutcome::Failed, "MODEL_REFUSED")
    );
    assert_eq!(played.read()[..2], ["call Write", "usage: refusal"]);
    assert!(
        played.read()[2].starts_with("result error:"),
        "{:?}",
        played.read()
    );
    assert!(!stage.files.join("a").exists());
}

#[tokio::test]
async fn a_paused_answer_is_continued() {
    let mut stage = Stage::new(steps(json!([
        { "content": [{ "type": "text", "text": "One" }], "stop_reason": "pause_turn" },
        { "content": [{ "type": "text", "text": "Two" }] },
    ])))
    .await;
    let played = stage.play("Count").await;
    assert_eq!(played.report.outcome, TurnOutcome::Completed);
    assert_eq!(
        played.read(),
        [
            "text: One",
            "usage: pause_turn",
            "text: Two",
            "usage: end_turn"
        ]
    );
}

#[tokio::test]
async fn a_turn_ends_at_its_limit_of_requests_with_all_calls_answered() {
    let call = json!({ "type": "tool_use", "name": "TodoWrite", "input": { "todos": [] } });
    let mut stage = Stage::new(steps(json!([{ "times": 9, "content": [call] }]))).await;
    let played = stage
        .play_with("Go on", |spec| spec.max_requests = 3, |_| Do::Nothing)
        .await;
    assert_eq!(played.report.outcome, TurnOutcome::LimitReached);
    assert_eq!(stage.requests().len(), 3);
    assert_eq!(played.report.usage.requests, 3);
    let results = played
        .read()
        .iter()
        .filter(|line| line.starts_with("result"))
        .count();
    assert_eq!(results, 3);
}

fn last(list: &serde_json::Value) -> &serde_json::Value {
    list.as_array()
        .and_then(|list| list.last())
        .expect("a list")
}

fn fs_err(stage: &Stage, name: &str, content: &str) {
    std::fs::write(stage.files.join(name), content).expect("a file");
}

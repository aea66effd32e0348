use serde_json::{Value, json};

use super::answer;
use crate::conversation::Conversation;
use crate::scenario::{Block, ErrorReply, Fault, Step, StopReason};

/// The conversation after so many rounds of one call each.
fn after(rounds: usize, prompt: &str) -> Conversation {
    let mut messages = vec![json!({"role": "user", "content": prompt})];
    for round in 0..rounds {
        let id = format!("t{round}");
        messages.push(json!({"role": "assistant", "content": [
            {"type": "tool_use", "id": id, "name": "Bash", "input": {}},
        ]}));
        messages.push(json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": format!("output {round}")},
        ]}));
    }
    Conversation::read(&json!({"messages": messages, "tools": [{"name": "Bash"}]}))
}

fn steps(rounds: usize, prompt: &str) -> Vec<Step> {
    answer(&after(rounds, prompt), "/workspace")
}

fn last(rounds: usize, prompt: &str) -> Step {
    steps(rounds, prompt).pop().expect("there is an answer")
}

fn bash(command: &str) -> Block {
    Block::tool("Bash", json!({"command": command}))
}

fn only_text(step: &Step) -> &str {
    match step.content.as_slice() {
        [Block::Text { text }] => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_request_plays_the_next_call() {
    let program = "!say first\n!bash ls\n!think hm\n!bash pwd";
    assert_eq!(last(0, program).content, [Block::text("first"), bash("ls")]);
    assert_eq!(
        last(1, program).content,
        [Block::thinking("hm"), bash("pwd")]
    );
}

#[test]
fn after_the_last_call_it_sums_up() {
    let text = last(2, "!bash ls\n!bash pwd");
    assert_eq!(
        only_text(&text),
        "Done: 2 tool calls, 0 failed.\n\n~~~\noutput 1\n~~~"
    );
}

#[test]
fn what_it_says_last_is_the_end() {
    assert_eq!(only_text(&last(1, "!bash ls\n!say good bye")), "good bye");
}

#[test]
fn a_group_is_one_answer() {
    let program = "!parallel\n!bash a\n!bash b\n!end\n!bash c";
    assert_eq!(last(0, program).content, [bash("a"), bash("b")]);
    assert_eq!(last(1, program).content, [bash("c")]);
}

#[test]
fn errors_come_first_and_so_many_times() {
    let steps = steps(0, "!error 429 x2 retry-after=1 slow down\n!bash ls");
    let error = ErrorReply {
        retry_after: Some(1),
        message: Some("slow down".to_owned()),
        ..ErrorReply::status(429)
    };
    assert_eq!(steps[0].error, Some(error));
    assert_eq!(steps[0].times, Some(2));
    assert_eq!(steps[1].content, [bash("ls")]);
}

#[test]
fn an_error_without_a_number_comes_always() {
    assert_eq!(steps(0, "!error 401")[0].times, None);
}

#[test]
fn faults_break_the_answer_they_stand_in() {
    let program = "!bash ls\n!cut 7 x1\n!bash pwd";
    assert_eq!(steps(0, program).len(), 1);
    let steps = steps(1, program);
    assert_eq!(steps[0].fault, Some(Fault::Cut { after: 7 }));
    assert_eq!(steps[0].content, [bash("pwd")]);
    assert_eq!(steps[1].fault, None);
}

#[test]
fn pace_usage_and_stop_reason_can_be_said() {
    let step = last(
        0,
        "!sleep-ms 200\n!chunk-ms 3\n!stop max_tokens\n!usage 5 6 7\n!say hi",
    );
    let pace = step.pace.expect("a pace");
    assert_eq!((pace.head_ms, pace.chunk_ms), (200, 3));
    assert_eq!(step.stop_reason, Some(StopReason::MaxTokens));
    assert_eq!(step.usage.cache_read_input_tokens, Some(7));
}

#[test]
fn mistakes_are_explained_in_the_answer() {
    let said = |program| only_text(&last(0, program)).to_owned();
    assert_eq!(said("!dance"), "`!dance` is not a directive I know.");
    assert_eq!(said("!sleep-ms long"), "`!sleep-ms` takes a number.");
    assert!(said("!error 200").contains("between 400 and 599"));
    assert!(said("!stop now").contains("`!stop`"));
}

#[test]
fn another_prompt_is_repeated() {
    assert_eq!(only_text(&last(0, "hello")), "You said: hello");
}

#[test]
fn without_tools_nothing_is_called() {
    let body: Value = json!({"messages": [{"role": "user", "content": "!bash ls"}]});
    let steps = answer(&Conversation::read(&body), "/workspace");
    assert_eq!(only_text(&steps[0]), "No tool is offered here.");
}

use membrane_scripted::{Block, Pace, Pattern, Scenario, Step, When};
use serde_json::{Value, json};

use crate::client::{ask_json, prompt, run_turn, serve, text};

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// The names of the tools called, in order.
fn calls(messages: &[Value]) -> Vec<String> {
    let blocks = messages.iter().flat_map(|m| m["content"].as_array());
    let calls = blocks.flatten().filter(|block| block["type"] == "tool_use");
    calls
        .filter_map(|call| call["name"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn steps_are_played_in_order_and_then_it_says_that_there_are_no_more() {
    let handle = serve(Scenario::steps([Step::text("one"), Step::text("two")])).await;
    assert_eq!(text(&ask_json(&handle, &prompt("a")).await.1), "one");
    assert_eq!(text(&ask_json(&handle, &prompt("a")).await.1), "two");
    let (status, body) = ask_json(&handle, &prompt("a")).await;
    assert_eq!(status, 500);
    let message = body["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("no answer to request 3"), "{message}");
}

#[tokio::test]
async fn another_scenario_starts_from_its_beginning() {
    let handle = serve(Scenario::steps([Step::text("one")])).await;
    ask_json(&handle, &prompt("a")).await;
    handle.set_scenario(Scenario::steps([Step::text("new")]));
    assert_eq!(text(&ask_json(&handle, &prompt("a")).await.1), "new");
}

#[tokio::test]
async fn a_rule_takes_words_from_the_prompt_and_from_the_result() {
    let scenario = Scenario::from_json(
        br#"{
          "steps": [
            {
              "when": {"user_text": {"regex": "^run: (?<command>.*)"}},
              "content": [{"type": "tool_use", "name": "Bash", "input": {"command": "{{command}}"}}]
            },
            {
              "when": {"tool_result": "ok"},
              "content": [{"type": "text", "text": "It said {{last_tool_result}} to {{user_text}}"}]
            },
            {"content": [{"type": "text", "text": "What?"}]}
          ]
        }"#,
    )
    .expect("a scenario");
    let handle = serve(scenario).await;
    let messages = run_turn(&handle, vec![user("run: cargo build")]).await;
    assert_eq!(messages[1]["content"][0]["input"]["command"], "cargo build");
    assert_eq!(text(&messages[3]), "It said ok to run: cargo build");
    assert_eq!(text(&ask_json(&handle, &prompt("hello")).await.1), "What?");
}

#[tokio::test]
async fn rules_look_at_models_tools_rounds_and_numbers() {
    let rule = |when: When, says: &str| Step::text(says).when(when);
    let scenario = Scenario::steps([
        rule(
            When {
                model: Some(Pattern::from("small")),
                ..When::default()
            },
            "small",
        ),
        rule(
            When {
                offers_tool: Some("WebFetch".to_owned()),
                ..When::default()
            },
            "web",
        ),
        rule(
            When {
                request: Some(4),
                ..When::default()
            },
            "fourth",
        ),
        rule(
            When {
                offers_tool: Some(String::new()),
                round: Some(0),
                ..When::default()
            },
            "tools",
        )
        .times(1),
        Step::text("rest"),
    ]);
    let handle = serve(scenario).await;
    let mut small = prompt("a");
    small["model"] = json!("a-small-one");
    assert_eq!(text(&ask_json(&handle, &small).await.1), "small");
    assert_eq!(text(&ask_json(&handle, &prompt("a")).await.1), "tools");
    assert_eq!(text(&ask_json(&handle, &prompt("a")).await.1), "rest");
    assert_eq!(text(&ask_json(&handle, &prompt("a")).await.1), "fourth");
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_refused() {
    let mut scenario = Scenario::puppet();
    scenario.context_tokens = Some(1000);
    let handle = serve(scenario).await;
    assert_eq!(ask_json(&handle, &prompt("short")).await.0, 200);
    let (status, body) = ask_json(&handle, &prompt(&"long ".repeat(2000))).await;
    assert_eq!(status, 400);
    let message = body["error"]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("prompt is too long: "), "{message}");
    assert!(message.ends_with(" tokens > 1000 maximum"), "{message}");
}

#[tokio::test]
async fn the_puppet_does_what_it_is_told_in_any_server() {
    let program = "!say go\n!parallel\n!bash a\n!read b\n!end\n!json {\"name\": \"Grep\", \
                   \"input\": {\"pattern\": \"x\"}}";
    let first = serve(Scenario::puppet()).await;
    let messages = run_turn(&first, vec![user(program)]).await;
    assert_eq!(calls(&messages), ["Bash", "Read", "Grep"]);
    assert_eq!(messages.len(), 6);
    assert!(text(&messages[5]).starts_with("Done: 3 tool calls, 0 failed."));

    // Another server goes on where the first stopped.
    let second = serve(Scenario::puppet()).await;
    let rest = run_turn(&second, messages[..3].to_vec()).await;
    assert_eq!(calls(&rest), ["Bash", "Read", "Grep"]);
}

#[tokio::test]
async fn a_new_prompt_starts_a_new_program() {
    let handle = serve(Scenario::puppet()).await;
    let mut messages = run_turn(&handle, vec![user("!bash a")]).await;
    messages.push(user("!read b\n!say bye"));
    let messages = run_turn(&handle, messages).await;
    assert_eq!(calls(&messages), ["Bash", "Read"]);
    assert_eq!(messages.last().map(text).as_deref(), Some("bye"));
}

#[tokio::test]
async fn the_demo_runs_from_its_first_look_to_its_summary() {
    let handle = serve(Scenario::demo().paced(Pace::default())).await;
    let messages = run_turn(&handle, vec![user("Show me what you can do")]).await;
    assert_eq!(
        calls(&messages),
        [
            "Glob",
            "Grep",
            "TodoWrite",
            "Write",
            "Bash",
            "Edit",
            "TodoWrite"
        ]
    );
    let end = messages.last().map(text).unwrap_or_default();
    assert!(end.contains("a script, not a model"), "{end}");
}

#[tokio::test]
async fn the_demo_obeys_directives() {
    let handle = serve(Scenario::demo().paced(Pace::default())).await;
    let messages = run_turn(&handle, vec![user("!bash ls")]).await;
    assert_eq!(calls(&messages), ["Bash"]);
}

#[tokio::test]
async fn a_scenario_survives_being_written_as_json() {
    let step = Step::content([
        Block::thinking("hm"),
        Block::tool("Bash", json!({"command": "ls"})),
    ])
    .when(When {
        user_text: Pattern::regex("^a+$").ok(),
        ..When::default()
    });
    let json = serde_json::to_vec(&Scenario::steps([step])).expect("JSON");
    let again = Scenario::from_json(&json).expect("a scenario");
    assert_eq!(serde_json::to_vec(&again).expect("JSON"), json);
}

#[tokio::test]
async fn a_scenario_with_a_mistake_is_refused() {
    let wrong = [
        r#"{"stepz": []}"#,
        r#"{"steps": [{"content": [{"type": "song"}]}]}"#,
        r#"{"steps": [{"when": {"user_text": {"regex": "("}}}]}"#,
    ];
    for json in wrong {
        assert!(Scenario::from_json(json.as_bytes()).is_err(), "{json}");
    }
}

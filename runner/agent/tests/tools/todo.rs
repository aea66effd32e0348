use membrane_agent::tools::{TOOL_NAMES, ToolKind};
use membrane_proto::v1::TodoStatus;
use serde_json::json;

use crate::support::{Bench, bad, good};

#[tokio::test]
async fn the_list_is_replaced_as_a_whole() {
    let bench = Bench::without_sandbox();
    let input = json!({ "todos": [
        { "content": "Read", "status": "completed", "activeForm": "Reading" },
        { "content": "Write", "status": "in_progress", "activeForm": "Writing" },
        { "content": "Test", "status": "pending", "activeForm": "Testing" },
    ] });
    let output = bench.call("TodoWrite", input).await;
    assert_eq!(good(&output), "The list has 3 items, 1 completed.");
    let todos = output.todos.expect("the list");
    assert_eq!(todos[1].status(), TodoStatus::InProgress);
    assert_eq!(
        (todos[2].content.as_str(), todos[2].active_form.as_str()),
        ("Test", "Testing")
    );
    let empty = bench.call("TodoWrite", json!({ "todos": [] })).await;
    assert_eq!(empty.todos, Some(Vec::new()));
}

#[tokio::test]
async fn a_list_that_is_not_valid_changes_nothing() {
    let bench = Bench::without_sandbox();
    for input in [
        json!({}),
        json!({ "todos": [{ "content": "a", "status": "later", "activeForm": "b" }] }),
        json!({ "todos": [{ "content": "", "status": "pending", "activeForm": "b" }] }),
        json!({ "todos": [{ "content": "x".repeat(5000), "status": "pending", "activeForm": "b" }] }),
        json!({ "todos": vec![json!({ "content": "a", "status": "pending", "activeForm": "b" }); 201] }),
    ] {
        let output = bench.call("TodoWrite", input).await;
        bad(&output);
        assert_eq!(output.todos, None);
    }
}

#[tokio::test]
async fn only_tools_that_exist_and_are_allowed_are_offered() {
    let bench = Bench::without_sandbox();
    let all: Vec<String> = TOOL_NAMES.map(String::from).to_vec();
    let offered = bench.tools.definitions(&all);
    assert_eq!(
        offered.iter().map(|tool| &*tool.name).collect::<Vec<_>>(),
        TOOL_NAMES
    );
    let some = ["Grep", "NoSuchTool", "Read"].map(String::from);
    let offered = bench.tools.definitions(&some);
    assert_eq!(
        offered.iter().map(|tool| &*tool.name).collect::<Vec<_>>(),
        ["Read", "Grep"]
    );
    assert!(bench.tools.definitions(&[]).is_empty());
}

#[tokio::test]
async fn every_tool_has_a_kind_and_a_schema_that_closes_its_object() {
    let bench = Bench::without_sandbox();
    let kinds = TOOL_NAMES.map(|name| bench.tools.kind(name).expect("a kind"));
    use ToolKind::{Edit, Execute, Internal, ReadOnly};
    assert_eq!(
        kinds,
        [ReadOnly, Edit, Edit, Execute, ReadOnly, ReadOnly, Internal]
    );
    assert_eq!(bench.tools.kind("NoSuchTool"), None);
    for tool in bench.tools.definitions(&TOOL_NAMES.map(String::from)) {
        assert_eq!(tool.input_schema["type"], "object", "{}", tool.name);
        assert_eq!(
            tool.input_schema["additionalProperties"], false,
            "{}",
            tool.name
        );
        let output = bench.call(&tool.name, json!({})).await;
        assert!(
            bad(&output).contains("missing field"),
            "{}: {}",
            tool.name,
            bad(&output)
        );
    }
}

#[tokio::test]
async fn a_tool_that_does_not_exist_is_an_error() {
    let bench = Bench::without_sandbox();
    assert_eq!(
        bad(&bench.call("Task", json!({})).await),
        "There is no tool named Task."
    );
}

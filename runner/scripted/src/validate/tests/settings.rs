use serde_json::{Value, json};

use super::{Dialect, NEW, OLD, assert_says, refusal, refusal_of, request, tool};
use crate::validate::{count_request, message_request};

#[test]
fn a_plain_request_is_fine() {
    assert_eq!(refusal(json!({})), "");
}

#[test]
fn required_fields_are_required() {
    for field in ["model", "max_tokens", "messages"] {
        let mut body = request(json!({}));
        body.as_object_mut().expect("an object").remove(field);
        let error = message_request(&body, OLD, &[]).expect_err("it is refused");
        let message = error.body("")["error"]["message"].clone();
        assert_eq!(message, format!("{field}: Field required"));
    }
}

#[test]
fn tokens_are_counted_without_a_limit() {
    let mut body = request(json!({}));
    body.as_object_mut()
        .expect("an object")
        .remove("max_tokens");
    assert_eq!(count_request(&body, NEW, &[]), Ok(()));
}

#[test]
fn an_unknown_model_is_not_found() {
    let known = ["other".to_owned()];
    let error = message_request(&request(json!({})), NEW, &known).expect_err("it is refused");
    assert_eq!(error.status(), 404);
    assert_eq!(error.body("")["error"]["message"], "model: m");
}

#[test]
fn the_version_of_2026_has_no_sampling_parameters() {
    for field in ["temperature", "top_p", "top_k"] {
        let mut changes = json!({});
        changes[field] = json!(1);
        assert_eq!(refusal(changes.clone()), "");
        let said = refusal_of(NEW, changes);
        assert_eq!(said, format!("{field}: Extra inputs are not permitted"));
    }
}

#[test]
fn a_beta_field_needs_a_beta_header() {
    let changes = json!({"context_management": {"edits": []}});
    let said = refusal(changes.clone());
    assert_eq!(said, "context_management: Extra inputs are not permitted");
    let beta = Dialect { beta: true, ..NEW };
    assert_eq!(refusal_of(beta, changes), "");
}

#[test]
fn thinking_has_a_budget_below_the_limit() {
    let budget = |tokens: u64| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});
    assert_says(&refusal(budget(1023)), "greater than or equal to 1024");
    assert_says(&refusal(budget(4096)), "`max_tokens` must be greater than");
    assert_eq!(refusal(budget(4095)), "");
    let mut cold = budget(1024);
    cold["temperature"] = json!(0.5);
    assert_says(
        &refusal(cold),
        "may only be set to 1 when thinking is enabled",
    );
    let mut forced = budget(1024);
    forced["tools"] = json!([tool("a")]);
    forced["tool_choice"] = json!({"type": "any"});
    assert_says(&refusal(forced), "when tool_choice forces tool use");
}

#[test]
fn tools_have_unique_plain_names_and_a_schema() {
    let tools = |tools: Value| refusal(json!({"tools": tools}));
    assert_says(
        &tools(json!([tool("a.b")])),
        "tools.0.custom.name: String should match",
    );
    assert_says(
        &tools(json!([tool("")])),
        "tools.0.custom.name: String should match",
    );
    assert_says(
        &tools(json!([tool(&"a".repeat(129))])),
        "should match pattern",
    );
    assert_says(
        &tools(json!([tool("a"), tool("a")])),
        "Tool names must be unique",
    );
    assert_says(
        &tools(json!([{"name": "a"}])),
        "tools.0.custom.input_schema: Field required",
    );
    let schema = json!([{"name": "a", "input_schema": {}}]);
    assert_says(
        &tools(schema),
        "tools.0.custom.input_schema.type: Field required",
    );
}

#[test]
fn a_chosen_tool_must_be_offered() {
    let choice = json!({"type": "tool", "name": "b"});
    let without = refusal(json!({"tool_choice": choice}));
    assert_says(&without, "while providing tools");
    let other = refusal(json!({"tool_choice": choice, "tools": [tool("a")]}));
    assert_says(&other, "Tool 'b' not found");
}

#[test]
fn settings_have_their_types_and_ranges() {
    assert_says(
        &refusal(json!({"max_tokens": 0})),
        "max_tokens: Input should be greater",
    );
    assert_says(
        &refusal(json!({"max_tokens": "9"})),
        "max_tokens: Input should be a valid",
    );
    assert_says(
        &refusal(json!({"temperature": 1.5})),
        "temperature: range: 0..1",
    );
    assert_says(
        &refusal(json!({"stream": "yes"})),
        "stream: Input should be a valid boolean",
    );
    assert_says(&refusal(json!({"system": 5})), "system: Input should be");
    assert_says(
        &refusal(json!({"thinking": {"type": "much"}})),
        "thinking: Input tag",
    );
}

#[test]
fn four_cache_breakpoints_are_the_most() {
    let block = json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}});
    let system = |count: usize| refusal(json!({"system": vec![block.clone(); count]}));
    assert_eq!(system(4), "");
    assert_says(
        &system(5),
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    );
}

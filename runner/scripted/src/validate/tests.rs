use serde_json::{Value, json};

use super::{Version, count_request, message_request};
use crate::wire;

/// A valid request with these changes.
fn request(changes: Value) -> Value {
    let mut body = json!({
        "model": "m",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "hi"}],
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// What the API says to it; empty if it accepts it.
fn refusal(changes: Value) -> String {
    refusal_of(Version::Of2023, changes)
}

fn refusal_of(version: Version, changes: Value) -> String {
    let error = message_request(&request(changes), version, &[]).err();
    error.map_or_else(String::new, |error| {
        assert_eq!(error.status(), 400);
        error.body("req_1")["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    })
}

fn of_messages(messages: Value) -> String {
    refusal(json!({"messages": messages}))
}

fn call(ids: &[&str]) -> Value {
    let call = |id: &&str| json!({"type": "tool_use", "id": id, "name": "Bash", "input": {}});
    json!({"role": "assistant", "content": ids.iter().map(call).collect::<Vec<_>>()})
}

fn results(ids: &[&str]) -> Value {
    let result = |id: &&str| json!({"type": "tool_result", "tool_use_id": id, "content": "ok"});
    json!({"role": "user", "content": ids.iter().map(result).collect::<Vec<_>>()})
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn tool(name: &str) -> Value {
    json!({"name": name, "input_schema": {"type": "object"}})
}

#[track_caller]
fn assert_says(refusal: &str, expected: &str) {
    assert!(refusal.contains(expected), "{refusal:?} lacks {expected:?}");
}

#[test]
fn a_plain_request_is_fine() {
    assert_eq!(refusal(json!({})), "");
}

#[test]
fn a_whole_turn_with_tools_and_thinking_is_fine() {
    let thinking = json!({"type": "thinking", "thinking": "so", "signature": wire::sign("so")});
    let calls = json!([
        thinking,
        {"type": "text", "text": "I look", "cache_control": {"type": "ephemeral"}},
        {"type": "tool_use", "id": "a", "name": "Bash", "input": {"command": "ls"}},
        {"type": "tool_use", "id": "b", "name": "Bash", "input": {}},
    ]);
    let changes = json!({
        "stream": true,
        "system": [{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral"}}],
        "tools": [tool("Bash"), tool("mcp__a__b")],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "metadata": {"user_id": "u"},
        "messages": [
            user("go"),
            {"role": "assistant", "content": calls},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "x"}]},
                {"type": "tool_result", "tool_use_id": "a", "is_error": true, "content": "no"},
                {"type": "text", "text": "and now?"},
            ]},
        ],
    });
    assert_eq!(refusal(changes), "");
}

#[test]
fn required_fields_are_required() {
    for field in ["model", "max_tokens", "messages"] {
        let mut body = request(json!({}));
        body.as_object_mut().expect("an object").remove(field);
        let error = message_request(&body, Version::Of2023, &[]).expect_err("it is refused");
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
    assert_eq!(count_request(&body, Version::Of2026, &[]), Ok(()));
}

#[test]
fn an_unknown_model_is_not_found() {
    let known = ["other".to_owned()];
    let error =
        message_request(&request(json!({})), Version::Of2026, &known).expect_err("it is refused");
    assert_eq!(error.status(), 404);
    assert_eq!(error.body("")["error"]["message"], "model: m");
}

#[test]
fn unknown_fields_are_refused_where_they_are() {
    assert_says(
        &refusal(json!({"colour": 1})),
        "colour: Extra inputs are not permitted",
    );
    let message = json!([{"role": "user", "content": "a", "id": 1}]);
    assert_says(&of_messages(message), "messages.0.id: Extra inputs");
    let block = json!([{"role": "user", "content": [{"type": "text", "text": "a", "b": 1}]}]);
    assert_says(
        &of_messages(block),
        "messages.0.content.0.text.b: Extra inputs",
    );
}

#[test]
fn there_must_be_messages_and_a_person_begins() {
    assert_says(&of_messages(json!([])), "at least one message is required");
    let answer = json!([{"role": "assistant", "content": "hi"}]);
    assert_says(
        &of_messages(answer),
        "first message must use the \"user\" role",
    );
    assert_says(
        &of_messages(json!([{"role": "tool", "content": "a"}])),
        "messages.0.role",
    );
}

#[test]
fn nothing_may_be_empty() {
    assert_says(
        &of_messages(json!([user("")])),
        "must have non-empty content",
    );
    let blocks = json!([{"role": "user", "content": []}]);
    assert_says(&of_messages(blocks), "must have non-empty content");
    let text = json!([{"role": "user", "content": [{"type": "text", "text": ""}]}]);
    assert_says(&of_messages(text), "text content blocks must be non-empty");
    let space = json!([{"role": "user", "content": [{"type": "text", "text": " \n"}]}]);
    assert_says(&of_messages(space), "must contain non-whitespace text");
}

#[test]
fn an_answer_that_was_begun_is_not_continued() {
    let prefill = json!([user("a"), {"role": "assistant", "content": "so"}]);
    assert_says(&of_messages(prefill), "must end with a user message");
}

#[test]
fn the_version_of_2026_has_no_sampling_parameters() {
    for field in ["temperature", "top_p", "top_k"] {
        let mut changes = json!({});
        changes[field] = json!(1);
        assert_eq!(refusal(changes.clone()), "");
        let said = refusal_of(Version::Of2026, changes);
        assert_eq!(said, format!("{field}: Extra inputs are not permitted"));
    }
}

#[test]
fn the_version_of_2026_has_documents_and_citations_in_their_place() {
    let document = json!({"type": "document", "source": {"type": "text", "data": "a"}});
    let cited = json!({"type": "text", "text": "a", "citations": [{"type": "char_location"}]});
    let both = |user: &Value, assistant: &Value| {
        let messages = json!([
            {"role": "user", "content": [user]},
            {"role": "assistant", "content": [assistant]},
            {"role": "user", "content": "b"},
        ]);
        refusal_of(Version::Of2026, json!({"messages": messages}))
    };
    assert_eq!(both(&document, &cited), "");
    assert_says(
        &both(&document, &document),
        "messages.1.content.0.document: not permitted",
    );
    assert_says(
        &both(&cited, &cited),
        "messages.0.content.0.text.citations: not permitted",
    );
}

#[test]
fn a_call_without_its_result_is_refused() {
    let expected = "messages.1: `tool_use` ids were found without `tool_result` blocks immediately \
                    after: b.";
    assert_says(
        &of_messages(json!([user("a"), call(&["a", "b"]), results(&["a"])])),
        expected,
    );
    assert_says(
        &of_messages(json!([user("a"), call(&["b"]), user("so?")])),
        expected,
    );
    assert_says(&of_messages(json!([user("a"), call(&["b"])])), expected);
    let late = json!([user("a"), call(&["b"]), user("so?"), results(&["b"])]);
    assert_says(&of_messages(late), expected);
}

#[test]
fn a_result_after_other_content_is_none() {
    let content = json!([
        {"type": "text", "text": "here"},
        {"type": "tool_result", "tool_use_id": "a", "content": "ok"},
    ]);
    let messages = json!([user("a"), call(&["a"]), {"role": "user", "content": content}]);
    assert_says(
        &of_messages(messages),
        "without `tool_result` blocks immediately after: a.",
    );
}

#[test]
fn a_result_without_its_call_is_refused() {
    assert_says(
        &of_messages(json!([user("a"), call(&["a"]), results(&["a", "z"])])),
        "messages.2.content.1: unexpected `tool_use_id` found in `tool_result` blocks: z.",
    );
    assert_says(
        &of_messages(json!([user("a"), call(&["a"]), results(&["a", "a"])])),
        "each tool_use must have a single result",
    );
    assert_says(
        &of_messages(json!([
            user("a"),
            call(&["a"]),
            results(&["a"]),
            call(&["a"]),
            results(&["a"])
        ])),
        "`tool_use` ids must be unique",
    );
}

#[test]
fn calls_and_results_have_their_roles_and_shapes() {
    let mut wrong = call(&["a"]);
    wrong["role"] = json!("user");
    assert_says(
        &of_messages(json!([wrong])),
        "can only be in `assistant` messages",
    );
    let mut wrong = call(&["a"]);
    wrong["content"][0]["input"] = json!("ls");
    assert_says(
        &of_messages(json!([user("a"), wrong, results(&["a"])])),
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
    );
    assert_says(
        &of_messages(json!([user("a"), call(&["a b"]), results(&["a b"])])),
        "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    );
}

#[test]
fn an_error_result_has_only_text() {
    let source = json!({"type": "base64", "media_type": "image/png", "data": "AAAA"});
    let mut image = results(&["a"]);
    image["content"][0]["content"] = json!([{"type": "image", "source": source}]);
    assert_eq!(of_messages(json!([user("a"), call(&["a"]), image])), "");
    image["content"][0]["is_error"] = json!(true);
    let refused = of_messages(json!([user("a"), call(&["a"]), image]));
    assert_says(
        &refused,
        "all content must be type `text` if `is_error` is true",
    );
}

#[test]
fn thinking_comes_back_unchanged_and_first() {
    let thinking = json!({"type": "thinking", "thinking": "no", "signature": wire::sign("so")});
    let answer = json!({"role": "assistant", "content": [thinking]});
    assert_says(
        &of_messages(json!([user("a"), answer, user("b")])),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    );
    let changes = json!({
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [user("a"), call(&["a"]), results(&["a"])],
    });
    assert_says(
        &refusal(changes),
        "Expected `thinking` or `redacted_thinking`, but found",
    );
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

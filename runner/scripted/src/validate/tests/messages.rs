use serde_json::{Value, json};

use super::{NEW, assert_says, call, of_messages, refusal, refusal_of, results, tool, user};
use crate::wire;

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
fn the_version_of_2026_has_documents_and_citations_in_their_place() {
    let document = json!({"type": "document", "source": {"type": "text", "data": "a"}});
    let cited = json!({"type": "text", "text": "a", "citations": [{"type": "char_location"}]});
    let both = |user: &Value, assistant: &Value| {
        let messages = json!([
            {"role": "user", "content": [user]},
            {"role": "assistant", "content": [assistant]},
            {"role": "user", "content": "b"},
        ]);
        refusal_of(NEW, json!({"messages": messages}))
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

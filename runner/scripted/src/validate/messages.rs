//! The messages of a request: whose turn it is, what is in them, and that every tool call has its
//! result.

use std::collections::HashSet;

use serde_json::Value;

use super::{Version, field, items, only, string};
use crate::error::{ApiError, Checked};
use crate::wire;

pub(super) fn check(body: &Value, version: Version) -> Checked {
    field("", body, "messages", "a valid list", Value::is_array)?;
    let messages = items(&body["messages"]);
    if messages.is_empty() {
        let message = "messages: at least one message is required";
        return Err(ApiError::invalid(message));
    }
    for (index, message) in messages.iter().enumerate() {
        check_message(&format!("messages.{index}"), message)?;
        check_not_empty(index, message)?;
        if version == Version::Of2026 {
            check_for_2026(&format!("messages.{index}"), message)?;
        }
    }
    check_order(messages)?;
    check_calls(messages)?;
    check_end(messages)?;
    check_thinking_first(body, messages)
}

fn check_message(place: &str, message: &Value) -> Checked {
    only(place, message, &["role", "content"])?;
    let is_role = |role: &Value| matches!(role.as_str(), Some("user" | "assistant" | "system"));
    field(place, message, "role", "'user' or 'assistant'", is_role)?;
    let is_content = |content: &Value| content.is_string() || content.is_array();
    field(place, message, "content", "a valid list", is_content)?;
    for (index, block) in items(&message["content"]).iter().enumerate() {
        let place = format!("{place}.content.{index}");
        check_block(&place, block, &message["role"])?;
    }
    Ok(())
}

fn check_not_empty(index: usize, message: &Value) -> Checked {
    let content = &message["content"];
    if content != "" && content.as_array().is_none_or(|blocks| !blocks.is_empty()) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "messages.{index}: all messages must have non-empty content except for the optional final \
         assistant message"
    )))
}

/// What `2026-10-21` refuses and the version before accepts.
fn check_for_2026(place: &str, message: &Value) -> Checked {
    let user = message["role"] == "user";
    for (index, block) in items(&message["content"]).iter().enumerate() {
        let wrong = match block["type"].as_str() {
            Some("document") if !user => "document",
            Some("text") if user && !items(&block["citations"]).is_empty() => "text.citations",
            _ => continue,
        };
        return Err(ApiError::invalid(format!(
            "{place}.content.{index}.{wrong}: not permitted in {} messages",
            message["role"].as_str().unwrap_or_default()
        )));
    }
    Ok(())
}

/// Models since Claude 4.6 continue no answer that was begun for them.
fn check_end(messages: &[Value]) -> Checked {
    if messages
        .last()
        .is_none_or(|last| last["role"] != "assistant")
    {
        return Ok(());
    }
    Err(ApiError::invalid(
        "This model does not support assistant message prefill. The conversation must end with a \
         user message.",
    ))
}

/// Consecutive messages of one role are allowed, and taken as one.
fn check_order(messages: &[Value]) -> Checked {
    if messages[0]["role"] == "user" {
        return Ok(());
    }
    let message = "messages: first message must use the \"user\" role";
    Err(ApiError::invalid(message))
}

fn check_block(place: &str, block: &Value, role: &Value) -> Checked {
    let Some(kind) = block["type"].as_str() else {
        return Err(ApiError::invalid(format!("{place}.type: Field required")));
    };
    let place = format!("{place}.{kind}");
    match kind {
        "text" => check_text(&place, block),
        "thinking" => check_thinking(&place, block),
        "tool_use" => check_tool_use(&place, block, role),
        "tool_result" => check_tool_result(&place, block, role),
        "image" => check_image(&place, block),
        "redacted_thinking" => string(&place, block, "data"),
        // What servers and betas add is not made by any engine of ours.
        _ if KNOWN_BLOCKS.contains(&kind) => Ok(()),
        _ => Err(ApiError::invalid(format!(
            "{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        ))),
    }
}

const KNOWN_BLOCKS: &[&str] = &[
    "bash_code_execution_tool_result",
    "code_execution_tool_result",
    "compaction",
    "container_upload",
    "document",
    "mcp_tool_result",
    "mcp_tool_use",
    "search_result",
    "server_tool_use",
    "text_editor_code_execution_tool_result",
    "tool_reference",
    "tool_search_tool_result",
    "web_fetch_tool_result",
    "web_search_tool_result",
];

fn check_text(place: &str, block: &Value) -> Checked {
    only(
        place,
        block,
        &["type", "text", "cache_control", "citations"],
    )?;
    string(place, block, "text")?;
    match block["text"].as_str().unwrap_or_default() {
        "" => Err(ApiError::invalid(
            "messages: text content blocks must be non-empty",
        )),
        text if text.trim().is_empty() => Err(ApiError::invalid(
            "messages: text content blocks must contain non-whitespace text",
        )),
        _ => Ok(()),
    }
}

fn check_thinking(place: &str, block: &Value) -> Checked {
    only(place, block, &["type", "thinking", "signature"])?;
    string(place, block, "thinking")?;
    string(place, block, "signature")?;
    let text = |name: &str| block[name].as_str().unwrap_or_default();
    let signature = text("signature");
    if !signature.is_empty() && wire::is_signature(signature, text("thinking")) {
        return Ok(());
    }
    let place = place.trim_end_matches(".thinking");
    let message = format!("{place}: Invalid `signature` in `thinking` block");
    Err(ApiError::invalid(message))
}

const TOOL_USE_FIELDS: &[&str] = &[
    "type",
    "id",
    "name",
    "input",
    "cache_control",
    "caller",
    "toolset_name",
];

const TOOL_RESULT_FIELDS: &[&str] = &[
    "type",
    "tool_use_id",
    "content",
    "is_error",
    "cache_control",
    "toolset_name",
];

fn check_tool_use(place: &str, block: &Value, role: &Value) -> Checked {
    only(place, block, TOOL_USE_FIELDS)?;
    check_role("tool_use", role, "assistant")?;
    string(place, block, "id")?;
    string(place, block, "name")?;
    field(
        place,
        block,
        "input",
        "a valid dictionary",
        Value::is_object,
    )?;
    check_id(place, "id", block)
}

fn check_tool_result(place: &str, block: &Value, role: &Value) -> Checked {
    only(place, block, TOOL_RESULT_FIELDS)?;
    check_role("tool_result", role, "user")?;
    string(place, block, "tool_use_id")?;
    check_id(place, "tool_use_id", block)?;
    if block
        .get("is_error")
        .is_some_and(|value| !value.is_boolean())
    {
        let message = format!("{place}.is_error: Input should be a valid boolean");
        return Err(ApiError::invalid(message));
    }
    check_result_content(place, block)
}

fn check_result_content(place: &str, block: &Value) -> Checked {
    let Some(content) = block.get("content") else {
        return Ok(());
    };
    if !content.is_string() && !content.is_array() {
        let message = format!("{place}.content: Input should be a valid list");
        return Err(ApiError::invalid(message));
    }
    for (index, part) in items(content).iter().enumerate() {
        let place = format!("{place}.content.{index}");
        match part["type"].as_str() {
            Some("text") => check_text(&format!("{place}.text"), part)?,
            Some("image") => check_image(&format!("{place}.image"), part)?,
            Some("search_result" | "document" | "tool_reference") => {}
            _ => {
                return Err(ApiError::invalid(format!(
                    "{place}: Input tag found using 'type' does not match any of the expected \
                     tags: 'document', 'image', 'search_result', 'text', 'tool_reference'"
                )));
            }
        }
    }
    if block["is_error"] == true && items(content).iter().any(|part| part["type"] != "text") {
        let message = format!("{place}: all content must be type `text` if `is_error` is true");
        return Err(ApiError::invalid(message));
    }
    Ok(())
}

fn check_role(kind: &str, role: &Value, expected: &str) -> Checked {
    if role == expected {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "messages: `{kind}` blocks can only be in `{expected}` messages"
    )))
}

fn check_id(place: &str, name: &str, block: &Value) -> Checked {
    let id = block[name].as_str().unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.chars().all(allowed) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "{place}.{name}: String should match pattern '^[a-zA-Z0-9_-]+$'"
    )))
}

fn check_image(place: &str, block: &Value) -> Checked {
    only(place, block, &["type", "source", "cache_control"])?;
    let source = &block["source"];
    let place = format!("{place}.source");
    match source["type"].as_str() {
        Some("url") => string(&place, source, "url"),
        Some("file") => string(&place, source, "file_id"),
        Some("base64") => {
            string(&place, source, "data")?;
            let is_image = |kind: &Value| {
                let kind = kind.as_str().unwrap_or_default();
                matches!(
                    kind,
                    "image/jpeg" | "image/png" | "image/gif" | "image/webp"
                )
            };
            let expected = "'image/jpeg', 'image/png', 'image/gif' or 'image/webp'";
            field(&place, source, "media_type", expected, is_image)
        }
        _ => Err(ApiError::invalid(format!("{place}.type: Field required"))),
    }
}

/// Each tool call must have exactly one result at the beginning of the next user message, and
/// each result a call in the message before.
fn check_calls(messages: &[Value]) -> Checked {
    let mut seen = HashSet::new();
    let mut open: Vec<&str> = Vec::new();
    let mut calling = 0;
    for (index, message) in messages.iter().enumerate() {
        if message["role"] == "system" {
            continue;
        }
        if message["role"] == "user" {
            check_results(index, message, &mut open)?;
            check_closed(calling, &open)?;
            continue;
        }
        for (position, id) in ids(message, "tool_use", "id") {
            if !seen.insert(id) {
                return Err(ApiError::invalid(format!(
                    "messages.{index}.content.{position}: `tool_use` ids must be unique"
                )));
            }
            calling = index;
            open.push(id);
        }
    }
    check_closed(calling, &open)
}

/// Takes the results at the beginning of a user message from the open calls.
fn check_results(index: usize, message: &Value, open: &mut Vec<&str>) -> Checked {
    let mut closed: HashSet<&str> = HashSet::new();
    let blocks = items(&message["content"]);
    let first_other = blocks
        .iter()
        .position(|block| block["type"] != "tool_result");
    for (position, id) in ids(message, "tool_result", "tool_use_id") {
        if closed.contains(id) {
            return Err(ApiError::invalid(format!(
                "messages.{index}.content.{position}: each tool_use must have a single result. \
                 Found multiple `tool_result` blocks with id: {id}"
            )));
        }
        let Some(found) = open.iter().position(|open| *open == id) else {
            return Err(ApiError::invalid(format!(
                "messages.{index}.content.{position}: unexpected `tool_use_id` found in \
                 `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding \
                 `tool_use` block in the previous message."
            )));
        };
        // A result after other content does not count as one.
        if first_other.is_some_and(|other| other < position) {
            continue;
        }
        open.remove(found);
        closed.insert(id);
    }
    Ok(())
}

fn check_closed(index: usize, open: &[&str]) -> Checked {
    if open.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately \
         after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the \
         next message.",
        open.join(", ")
    )))
}

fn ids<'a>(
    message: &'a Value,
    kind: &'a str,
    name: &'a str,
) -> impl Iterator<Item = (usize, &'a str)> {
    let blocks = items(&message["content"]).iter().enumerate();
    blocks
        .filter(move |(_, block)| block["type"] == kind)
        .filter_map(move |(position, block)| Some((position, block[name].as_str()?)))
}

/// With thinking enabled, the answer whose tool results are being sent must begin with it.
fn check_thinking_first(body: &Value, messages: &[Value]) -> Checked {
    if body["thinking"]["type"] != "enabled" {
        return Ok(());
    }
    let Some(index) = messages.iter().rposition(|m| m["role"] == "assistant") else {
        return Ok(());
    };
    if ids(&messages[index], "tool_use", "id").next().is_none() {
        return Ok(());
    }
    let found = items(&messages[index]["content"])[0]["type"].as_str();
    let found = found.unwrap_or_default();
    if matches!(found, "thinking" | "redacted_thinking") {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found \
         `{found}`. When `thinking` is enabled, a final `assistant` message must start with a \
         thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
    )))
}

//! Everything in a request but its messages.

use std::collections::HashSet;

use serde_json::Value;

use super::{Dialect, Version, field, items, only, string};
use crate::error::{ApiError, Checked};

/// The fields of a request.
const FIELDS: &[&str] = &[
    "cache_control",
    "container",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "thinking",
    "tool_choice",
    "tools",
    "user_profile_id",
    "workspace_id",
];

/// The fields that need an `anthropic-beta` header.
const BETA_FIELDS: &[&str] = &[
    "billing_policy",
    "compaction",
    "context_management",
    "fallback_credit_token",
    "fallbacks",
    "mcp_servers",
    "output_format",
    "thread",
];

/// The fields that `2026-10-21` has no more.
const SAMPLING_FIELDS: &[&str] = &["temperature", "top_k", "top_p"];

/// Nothing here warms the cache, which is all that 0 would do.
pub(super) fn check_max_tokens(body: &Value) -> Checked {
    let is_number = |value: &Value| value.is_u64() || value.is_i64();
    field("", body, "max_tokens", "a valid integer", is_number)?;
    if body["max_tokens"].as_u64().unwrap_or(0) > 0 {
        return Ok(());
    }
    let message = "max_tokens: Input should be greater than or equal to 1";
    Err(ApiError::invalid(message))
}

pub(super) fn check(body: &Value, dialect: Dialect) -> Checked {
    string("", body, "model")?;
    check_known_types(body)?;
    check_temperature(body)?;
    check_system(&body["system"])?;
    check_tools(&body["tools"])?;
    check_tool_choice(body)?;
    check_thinking(body)?;
    check_cache_control(body)?;
    check_fields(body, dialect)
}

fn check_fields(body: &Value, dialect: Dialect) -> Checked {
    let mut known = FIELDS.to_vec();
    if dialect.version == Version::Of2023 {
        known.extend_from_slice(SAMPLING_FIELDS);
    }
    if dialect.beta {
        known.extend_from_slice(BETA_FIELDS);
    }
    only("", body, &known)
}

fn check_known_types(body: &Value) -> Checked {
    type Is = fn(&Value) -> bool;
    let types: [(&str, &str, Is); 5] = [
        ("stream", "a valid boolean", Value::is_boolean),
        ("tools", "a valid list", Value::is_array),
        ("stop_sequences", "a valid list", Value::is_array),
        ("metadata", "a valid dictionary", Value::is_object),
        ("thinking", "a valid dictionary", Value::is_object),
    ];
    for (name, expected, is) in types {
        if body.get(name).is_some_and(|value| !value.is_null()) {
            field("", body, name, expected, is)?;
        }
    }
    Ok(())
}

fn check_temperature(body: &Value) -> Checked {
    match body["temperature"].as_f64() {
        Some(value) if !(0.0..=1.0).contains(&value) => {
            Err(ApiError::invalid("temperature: range: 0..1"))
        }
        _ => Ok(()),
    }
}

fn check_system(system: &Value) -> Checked {
    if system.is_null() || system.is_string() {
        return Ok(());
    }
    if !system.is_array() {
        let message = "system: Input should be a valid string or a valid list";
        return Err(ApiError::invalid(message));
    }
    for (index, block) in items(system).iter().enumerate() {
        let place = format!("system.{index}");
        only(
            &place,
            block,
            &["type", "text", "cache_control", "citations"],
        )?;
        string(&place, block, "text")?;
        if block["text"] == "" {
            let message = "system: text content blocks must be non-empty";
            return Err(ApiError::invalid(message));
        }
    }
    Ok(())
}

fn check_tools(tools: &Value) -> Checked {
    let mut names = HashSet::new();
    for (index, tool) in items(tools).iter().enumerate() {
        if matches!(tool["type"].as_str(), None | Some("custom")) {
            check_custom_tool(index, tool)?;
        }
        if !names.insert(tool["name"].as_str()) {
            return Err(ApiError::invalid("tools: Tool names must be unique."));
        }
    }
    Ok(())
}

fn check_custom_tool(index: usize, tool: &Value) -> Checked {
    let place = format!("tools.{index}.custom");
    string(&place, tool, "name")?;
    if !is_tool_name(tool["name"].as_str().unwrap_or_default()) {
        return Err(ApiError::invalid(format!(
            "{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        )));
    }
    let is_object = Value::is_object;
    field(
        &place,
        tool,
        "input_schema",
        "a valid dictionary",
        is_object,
    )?;
    let schema = &tool["input_schema"];
    let place_of_schema = format!("{place}.input_schema");
    field(&place_of_schema, schema, "type", "'object'", |kind| {
        kind == "object"
    })?;
    only(
        &place,
        tool,
        &[
            "allowed_callers",
            "cache_control",
            "defer_loading",
            "description",
            "eager_input_streaming",
            "input_examples",
            "input_schema",
            "name",
            "strict",
            "type",
        ],
    )
}

fn is_tool_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=128).contains(&name.len()) && name.chars().all(allowed)
}

fn check_tool_choice(body: &Value) -> Checked {
    let choice = &body["tool_choice"];
    if choice.is_null() {
        return Ok(());
    }
    if items(&body["tools"]).is_empty() {
        let message = "tool_choice may only be specified while providing tools";
        return Err(ApiError::invalid(message));
    }
    match (choice["type"].as_str(), choice["name"].as_str()) {
        (Some("auto" | "any" | "none"), _) => Ok(()),
        (Some("tool"), Some(name)) => check_chosen(name, &body["tools"]),
        (Some("tool"), None) => Err(ApiError::invalid("tool_choice.tool.name: Field required")),
        _ => Err(ApiError::invalid(
            "tool_choice: Input should be 'auto', 'any', 'tool' or 'none'",
        )),
    }
}

fn check_chosen(name: &str, tools: &Value) -> Checked {
    if items(tools).iter().any(|tool| tool["name"] == name) {
        return Ok(());
    }
    let message = format!("tool_choice: Tool '{name}' not found in provided tools");
    Err(ApiError::invalid(message))
}

fn check_thinking(body: &Value) -> Checked {
    match body["thinking"]["type"].as_str() {
        Some("enabled") => check_budget(body)?,
        Some("adaptive") => {}
        Some("disabled" | "between_tools") => return Ok(()),
        None if body["thinking"].is_null() => return Ok(()),
        _ => {
            let message = "thinking: Input tag should be one of 'enabled', 'disabled', 'adaptive'";
            return Err(ApiError::invalid(message));
        }
    }
    if matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool")) {
        let message = "Thinking may not be enabled when tool_choice forces tool use.";
        return Err(ApiError::invalid(message));
    }
    match body["temperature"].as_f64() {
        Some(value) if (value - 1.0).abs() > f64::EPSILON => Err(ApiError::invalid(
            "`temperature` may only be set to 1 when thinking is enabled.",
        )),
        _ => Ok(()),
    }
}

fn check_budget(body: &Value) -> Checked {
    let place = "thinking.enabled";
    let thinking = &body["thinking"];
    field(
        place,
        thinking,
        "budget_tokens",
        "a valid integer",
        Value::is_u64,
    )?;
    let budget = thinking["budget_tokens"].as_u64().unwrap_or(0);
    if budget < 1024 {
        return Err(ApiError::invalid(format!(
            "{place}.budget_tokens: Input should be greater than or equal to 1024"
        )));
    }
    if body["max_tokens"].as_u64().is_some_and(|max| max <= budget) {
        let message = "`max_tokens` must be greater than `thinking.budget_tokens`.";
        return Err(ApiError::invalid(message));
    }
    Ok(())
}

fn check_cache_control(body: &Value) -> Checked {
    const MOST: usize = 4;
    let found = breakpoints(&body["system"])
        + breakpoints(&body["tools"])
        + items(&body["messages"])
            .iter()
            .map(|message| breakpoints(&message["content"]))
            .sum::<usize>();
    if found <= MOST {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "A maximum of {MOST} blocks with cache_control may be provided. Found {found}."
    )))
}

fn breakpoints(blocks: &Value) -> usize {
    let is_set = |block: &&Value| block.get("cache_control").is_some_and(|c| !c.is_null());
    items(blocks).iter().filter(is_set).count()
}

//! What a program inside asks for: as much of a request's body as decides whether it may be sent.
//!
//! The body goes out byte by byte as it came, so it must mean one thing only: no field stands in it
//! twice. A provider's own tools, and whatever else makes a provider fetch from addresses that a
//! request names, are refused: they would be a way out past the workspace's rules, and their price
//! is not in any count of tokens.

use std::fmt;

use http::{HeaderMap, HeaderValue};
use membrane_agent::meter::RequestSize;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Fields that a request may have.
const FIELDS: [&str; 18] = [
    "cache_control",
    "context_management",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// Tools that a client runs itself begin like this; those without a type it has described itself.
const CLIENT_TOOLS: [&str; 5] = ["custom", "bash_", "text_editor_", "computer_", "memory_"];

/// With this at the end of a model's name, OpenRouter searches the web.
const SEARCHING: &str = ":online";

/// Features of the API for which other prices hold than those in the table.
const DEAR_FEATURES: [&str; 2] = ["context-1m", "fast-mode"];

/// Refuses features of the API by which a request costs what is not counted.
pub(super) fn check_features(headers: &HeaderMap) -> Result<(), Refusal> {
    let dear = |feature: &&str| {
        let is_asked = |value: &HeaderValue| contains(value.as_bytes(), feature.as_bytes());
        headers.get_all("anthropic-beta").iter().any(is_asked)
    };
    match DEAR_FEATURES.iter().find(|feature| dear(feature)) {
        None => Ok(()),
        Some(feature) => Err(Refusal::invalid(format!(
            "anthropic-beta: {feature} can't be used from inside the sandbox, since its prices are not known here."
        ))),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// What counts of a request.
#[derive(Debug)]
pub(super) struct Asked {
    /// The model's name.
    pub model: String,
    /// Output tokens at most; none where there is no output.
    pub max_tokens: Option<u32>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// How large it is.
    pub size: RequestSize,
}

impl Asked {
    /// Reads a request.
    ///
    /// # Errors
    /// A [`Refusal`] that says what is wrong.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let Unique(body) = serde_json::from_slice(body)
            .map_err(|error| Refusal::invalid(format!("The body can't be used: {error}.")))?;
        let Value::Object(fields) = &body else {
            return Err(Refusal::invalid("The body must be a JSON object."));
        };
        check_fields(fields)?;
        check_tools(fields)?;
        check_blocks(&body)?;
        let Some(model) = fields.get("model").and_then(Value::as_str) else {
            return Err(Refusal::invalid("model: must be a string."));
        };
        if model.ends_with(SEARCHING) {
            return Err(Refusal::forbidden(
                "model: this one searches the web, which can't be used from inside the sandbox.",
            ));
        }
        Ok(Self {
            model: model.to_owned(),
            max_tokens: optional(fields, "max_tokens")?,
            stream: optional(fields, "stream")?.unwrap_or(false),
            size: RequestSize::of(&body),
        })
    }
}

fn optional<T: serde::de::DeserializeOwned>(
    fields: &Map<String, Value>,
    name: &str,
) -> Result<Option<T>, Refusal> {
    let value = fields.get(name).cloned().map(serde_json::from_value);
    value
        .transpose()
        .map_err(|_| Refusal::invalid(format!("{name}: is not of the right kind.")))
}

fn check_fields(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let unknown = fields.keys().find(|name| !FIELDS.contains(&name.as_str()));
    if let Some(name) = unknown {
        return Err(Refusal::invalid(format!(
            "{name:?}: this field can't be used from inside the sandbox."
        )));
    }
    match fields.get("service_tier").map(Value::as_str) {
        None | Some(Some("auto" | "standard_only")) => Ok(()),
        Some(_) => Err(Refusal::invalid(
            "service_tier: only auto and standard_only can be used from inside the sandbox.",
        )),
    }
}

fn check_tools(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let tools = fields.get("tools").and_then(Value::as_array);
    let kinds = tools.into_iter().flatten().filter_map(|tool| {
        let kind = tool.get("type")?;
        Some(kind.as_str().unwrap_or("this type"))
    });
    let edits = fields
        .get("context_management")
        .and_then(|management| management["edits"].as_array());
    let mut edits = edits.into_iter().flatten();
    if !edits.all(|edit| {
        edit["type"]
            .as_str()
            .is_some_and(|kind| kind.starts_with("clear_"))
    }) {
        return Err(Refusal::invalid(
            "context_management: only edits that clear something can be used from inside the sandbox.",
        ));
    }
    let by_client = |kind: &str| CLIENT_TOOLS.iter().any(|begin| kind.starts_with(begin));
    match kinds.into_iter().find(|kind| !by_client(kind)) {
        None => Ok(()),
        Some(kind) => Err(Refusal::forbidden(format!(
            "tools: {kind} runs at the provider, which can't be used from inside the sandbox."
        ))),
    }
}

/// Looks at every block of the conversation, but not at what is data of a tool.
fn check_blocks(value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Array(values) => values.iter().try_for_each(check_blocks),
        Value::Object(fields) => {
            let kind_of = |name: &str| fields.get(name).and_then(|value| value["type"].as_str());
            if kind_of("source") == Some("url") {
                return Err(Refusal::forbidden(
                    "source: the provider would fetch this address, which can't be used from inside the sandbox. Send the content itself.",
                ));
            }
            let ttl = fields.get("cache_control").and_then(|mark| mark.get("ttl"));
            if ttl.is_some_and(|ttl| ttl != "5m") {
                return Err(Refusal::invalid(
                    "cache_control: only caches of five minutes can be used from inside the sandbox.",
                ));
            }
            fields
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "input" | "input_schema"))
                .try_for_each(|(_, value)| check_blocks(value))
        }
        _ => Ok(()),
    }
}

/// JSON in which no field stands twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, Unique(value))) = entries.next_entry::<String, Unique>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("{name:?} stands there twice")));
            }
            fields.insert(name, value);
        }
        Ok(fields.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Asked, String> {
        Asked::read(body.as_bytes()).map_err(|refusal| format!("{refusal:?}"))
    }

    #[test]
    fn what_counts_is_read() {
        let asked = read(
            r#"{"model": "a", "max_tokens": 10, "stream": true, "messages": [], "tools": [{"name": "t", "input_schema": {"source": {"type": "url"}}}, {"type": "bash_20250124", "name": "bash"}]}"#,
        )
        .expect("a request");
        assert_eq!(
            (asked.model.as_str(), asked.max_tokens, asked.stream),
            ("a", Some(10), true)
        );
        let count = read(r#"{"model": "a", "messages": []}"#).expect("a request");
        assert_eq!((count.max_tokens, count.stream), (None, false));
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        let table = [
            r#"{"model": "a", "model": "b"}"#,
            r#"{"model": "a", "\u006dodel": "b"}"#,
            r#"{"model": "a", "max_tokens": 1, "max_tokens": 9}"#,
            r#"{"model": "a", "tools": [{"type": "custom", "type": "web_fetch_20250910"}]}"#,
            r#"{"model": "a"} {"model": "b"}"#,
        ];
        for body in table {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn nothing_makes_the_provider_reach_out_or_cost_what_is_not_counted() {
        let image = r#"{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://example.com"}}]}"#;
        let nested = format!(
            r#"{{"role": "user", "content": [{{"type": "tool_result", "tool_use_id": "a", "content": [{image}]}}]}}"#
        );
        let table = [
            r#"{"model": "a:online", "max_tokens": 1}"#.to_owned(),
            r#"{"model": "a", "mcp_servers": []}"#.to_owned(),
            r#"{"model": "a", "speed": "fast"}"#.to_owned(),
            r#"{"model": "a", "service_tier": "priority"}"#.to_owned(),
            r#"{"model": "a", "tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}"#.to_owned(),
            r#"{"model": "a", "tools": [{"type": "code_execution_20250825"}]}"#.to_owned(),
            r#"{"model": "a", "tools": [{"type": 7}]}"#.to_owned(),
            r#"{"model": "a", "context_management": {"edits": [{"type": "compact_20260112"}]}}"#.to_owned(),
            r#"{"model": "a", "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}"#.to_owned(),
            format!(r#"{{"model": "a", "messages": [{image}]}}"#),
            format!(r#"{{"model": "a", "messages": [{nested}]}}"#),
        ];
        for body in table {
            assert!(read(&body).is_err(), "{body}");
        }
    }

    #[test]
    fn features_with_other_prices_are_refused() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append("anthropic-beta", HeaderValue::from_static("one-2025"));
            headers.append("anthropic-beta", HeaderValue::from_static(value));
            check_features(&headers)
        };
        assert!(with("interleaved-thinking-2025-05-14").is_ok());
        assert!(with("a,context-1m-2025-08-07").is_err());
        assert!(with("fast-mode-2026-02-01").is_err());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"model": 1}"#,
            r#"{"model": "a", "max_tokens": -1}"#,
            r#"{"model": "a", "max_tokens": 1.5}"#,
            r#"{"model": "a", "stream": "yes"}"#,
        ] {
            assert!(read(body).is_err(), "{body}");
        }
    }
}

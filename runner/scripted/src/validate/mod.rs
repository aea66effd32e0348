//! The checks that the real API makes before any model sees a request, in its own words. They are
//! what makes an engine's tests meaningful: a conversation that the API would refuse is refused.

mod messages;
mod settings;

use serde_json::Value;

use crate::error::{ApiError, Checked};
use crate::record::Recorded;

/// Checks the key.
pub(crate) fn key(request: &Recorded, expected: Option<&str>) -> Checked {
    let Some(key) = &request.key else {
        return Err(ApiError::new(401, "x-api-key header is required"));
    };
    if expected.is_none_or(|expected| expected == key.value) {
        return Ok(());
    }
    let message = match key.header.as_str() {
        "x-api-key" => "invalid x-api-key",
        _ => "Invalid bearer token",
    };
    Err(ApiError::new(401, message))
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The version of the API.
    pub(crate) version: Version,
    /// Whether it asks for beta features, whichever.
    pub(crate) beta: bool,
}

/// A version of the API. They differ in what they refuse; see
/// <https://platform.claude.com/docs/en/api/migration-2026-10-21>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// `2023-06-01`
    Of2023,
    /// `2026-10-21`, without sampling parameters.
    Of2026,
}

/// What the headers of a request say that its client speaks.
pub(crate) fn dialect(request: &Recorded) -> Result<Dialect, ApiError> {
    let beta = request.header("anthropic-beta").is_some();
    let version = match request.header("anthropic-version") {
        Some("2023-06-01") => Version::Of2023,
        Some("2026-10-21") => Version::Of2026,
        None => return Err(ApiError::invalid("anthropic-version: header is required")),
        Some(other) => {
            let message = format!("anthropic-version: {other:?} is not a valid version");
            return Err(ApiError::invalid(message));
        }
    };
    Ok(Dialect { version, beta })
}

/// Checks that a body is JSON, if there is one.
pub(crate) fn json(body: &[u8]) -> Checked {
    if body.is_empty() {
        return Ok(());
    }
    let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(body);
    parsed
        .map(|_| ())
        .map_err(|error| ApiError::invalid(format!("The request body is not valid JSON: {error}")))
}

/// Checks that a model exists.
pub(crate) fn model(name: &str, known: &[String]) -> Checked {
    if known.is_empty() || known.iter().any(|model| model == name) {
        return Ok(());
    }
    Err(ApiError::new(404, format!("model: {name}")))
}

/// Checks a request for a message.
pub(crate) fn message_request(body: &Value, dialect: Dialect, models: &[String]) -> Checked {
    settings::check_max_tokens(body)?;
    count_request(body, dialect, models)
}

/// Checks a request for a number of tokens.
pub(crate) fn count_request(body: &Value, dialect: Dialect, models: &[String]) -> Checked {
    if !body.is_object() {
        return Err(ApiError::invalid("Input should be a valid dictionary"));
    }
    settings::check(body, dialect)?;
    messages::check(body, dialect.version)?;
    model(body["model"].as_str().unwrap_or_default(), models)
}

/// The items of an array; nothing for anything else.
fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A required field of a type, told by `is`.
fn field(
    place: &str,
    object: &Value,
    name: &str,
    expected: &str,
    is: fn(&Value) -> bool,
) -> Checked {
    let path = join(place, name);
    match object.get(name) {
        None => Err(ApiError::invalid(format!("{path}: Field required"))),
        Some(value) if is(value) => Ok(()),
        Some(_) => Err(ApiError::invalid(format!(
            "{path}: Input should be {expected}"
        ))),
    }
}

fn string(place: &str, object: &Value, name: &str) -> Checked {
    field(place, object, name, "a valid string", Value::is_string)
}

/// Refuses fields that the API does not know.
fn only(place: &str, object: &Value, known: &[&str]) -> Checked {
    let Some(object) = object.as_object() else {
        let message = format!("{place}: Input should be a valid dictionary");
        return Err(ApiError::invalid(message));
    };
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(ApiError::invalid(format!(
            "{}: Extra inputs are not permitted",
            join(place, name)
        ))),
    }
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() {
        return name.to_owned();
    }
    format!("{place}.{name}")
}

#[cfg(test)]
mod tests;

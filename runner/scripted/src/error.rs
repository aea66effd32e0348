//! Errors: those of this library, and those that the API reports to its clients.

use std::path::PathBuf;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use thiserror::Error;

use crate::scenario::ErrorReply;

/// A scenario that could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("the scenario file {path} can't be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not a scenario.
    #[error("this is not a scenario: {0}")]
    Invalid(#[source] serde_json::Error),
}

/// An error as the API reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError(ErrorReply);

/// Shorthand for what validation returns.
pub(crate) type Checked = Result<(), ApiError>;

impl ApiError {
    /// An error of this status with the type that belongs to it.
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self(ErrorReply {
            message: Some(message.into()),
            ..ErrorReply::status(status)
        })
    }

    /// The usual error of this status.
    pub(crate) fn usual(status: u16) -> Self {
        Self(ErrorReply::status(status))
    }

    /// A request that the API refuses.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.0.status
    }

    /// The JSON of the response body, and of the data of an `error` event.
    pub(crate) fn body(&self, request_id: &str) -> Value {
        let kind = self.0.kind.as_deref();
        let message = self.0.message.as_deref();
        json!({
            "type": "error",
            "error": {
                "type": kind.unwrap_or_else(|| usual_kind(self.0.status)),
                "message": message.unwrap_or_else(|| usual_message(self.0.status)),
            },
            "request_id": request_id,
        })
    }

    /// The whole response.
    pub(crate) fn response(&self, request_id: &str) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body(request_id))).into_response();
        let retry_after = self.0.retry_after.map(|seconds| seconds.to_string());
        let retry_after = retry_after.iter().map(|value| ("retry-after", value));
        let others = self.0.headers.iter().map(|(k, v)| (k.as_str(), v));
        for (name, value) in retry_after.chain(others) {
            let name = HeaderName::try_from(name);
            if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl From<ErrorReply> for ApiError {
    fn from(reply: ErrorReply) -> Self {
        Self(reply)
    }
}

/// The API's own pairs of status and type.
fn usual_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn usual_message(status: u16) -> &'static str {
    match status {
        401 => "invalid x-api-key",
        402 => "Your credit balance is too low to access the Anthropic API.",
        403 => "Your API key does not have permission to use the specified resource.",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Request exceeds the maximum size",
        429 => "This request would exceed your organization's rate limit.",
        504 => "Request timed out",
        529 => "Overloaded",
        500.. => "Internal server error",
        _ => "invalid request",
    }
}

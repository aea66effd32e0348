//! Refusals in the form of the Messages API, so that its clients understand them.

use axum::{
    Json,
    response::{AppendHeaders, IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use membrane_agent::{
    meter::Exceeded,
    model::{ModelError, ModelErrorReason, Refused},
};
use serde_json::json;

use crate::error::Error;

/// Tells clients of the Messages API whether to try again by themselves.
const RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Why a request is not answered.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    kind: String,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, kind: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            kind: kind.to_owned(),
            message: message.into(),
        }
    }

    /// Nobody, or somebody of another turn.
    pub(crate) fn unknown() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "authentication_error",
            "This token is not one of a turn that runs. Use ANTHROPIC_API_KEY of this process's own environment.",
        )
    }

    /// What the workspace does not allow.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission_error", message)
    }

    /// What can't be understood.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// What is too large.
    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("A request may have at most {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    /// What comes too slowly.
    pub(super) fn slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout_error",
            "The request did not arrive in time.",
        )
    }

    /// What is not served.
    pub(super) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found_error",
            "Only /v1/messages, /v1/messages/count_tokens and /v1/models are served here.",
        )
    }

    /// Too many requests at once.
    pub(super) fn busy(at_once: usize) -> Self {
        let message = format!("At most {at_once} requests are worked on at the same time.");
        let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
        let retry = (header::RETRY_AFTER, HeaderValue::from_static("1"));
        refusal.headers.push(retry);
        refusal
    }

    /// A limit of the session. Trying again does not help.
    pub(super) fn limit(exceeded: &Exceeded) -> Self {
        let mut refusal = Self::forbidden(format!("{}: {exceeded}", exceeded.reason()));
        let retry = (RETRY, HeaderValue::from_static("false"));
        refusal.headers.push(retry);
        refusal
    }

    /// The turn ended, or whoever asked went away.
    pub(super) fn ended() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "authentication_error",
            "The turn of this token has ended.",
        )
    }
}

/// What keeps a runner from the model of its run.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(_) => Self::unknown(),
            Error::Precondition {
                reason: "STALE_LEASE",
                ..
            } => Self::unknown(),
            Error::Precondition { message, .. } => Self::forbidden(message),
            error => {
                error.log();
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "api_error",
                    error.public_message(),
                )
            }
        }
    }
}

/// The provider's own words, without the key.
impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self {
            status: StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_GATEWAY),
            // The error is written anew.
            headers: refused
                .headers
                .into_iter()
                .filter_map(|(name, value)| Some((name?, value)))
                .filter(|(name, _)| *name != header::CONTENT_TYPE)
                .collect(),
            kind: refused.body.kind,
            message: refused.body.message,
        }
    }
}

/// A provider that gave no answer at all.
impl From<ModelError> for Refusal {
    fn from(error: ModelError) -> Self {
        let status = match error.reason {
            ModelErrorReason::EgressDenied => StatusCode::FORBIDDEN,
            ModelErrorReason::Timeout => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.reason.api_type(), error.message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "error",
            "error": { "type": self.kind, "message": self.message },
        });
        (self.status, AppendHeaders(self.headers), Json(body)).into_response()
    }
}

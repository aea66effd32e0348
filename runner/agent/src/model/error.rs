//! What can go wrong between us and a model, in words that a person can act on and that never
//! contain the key.

use std::time::Duration;

use membrane_proto::v1::ErrorDetail;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;

use super::types::ErrorBody;
use crate::egress::{self, Denied, DenyReason};

/// At most so many characters of a provider's own message are quoted.
const QUOTED_CHARS_MAX: usize = 500;

/// A piece of the key this long, in bytes, is masked wherever it appears in a quoted message.
const KEY_PIECE_BYTES: usize = 8;

/// A model request that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ModelError {
    /// Which kind of failure.
    pub reason: ModelErrorReason,
    /// A sentence for people: what happened and what to do. Never contains the key.
    pub message: String,
    /// How long the provider asks us to wait, if it said so.
    pub retry_after: Option<Duration>,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelErrorReason {
    /// The key is wrong or may not use this model.
    Authentication,
    /// The account has no credit.
    PaymentRequired,
    /// No such model, or no Messages API at this address.
    NotFound,
    /// The provider did not understand or accept the request.
    RequestInvalid,
    /// The conversation is too long.
    RequestTooLarge,
    /// Too many requests or tokens in a short time.
    RateLimited,
    /// The provider failed.
    ServerError,
    /// The provider has too much to do.
    Overloaded,
    /// The answer ended in its middle.
    StreamCut,
    /// The answer cannot be understood.
    Malformed,
    /// No answer, or no more of it, for too long.
    Timeout,
    /// No connection.
    Unreachable,
    /// The address is not one that may be reached.
    EgressDenied,
}

impl ModelErrorReason {
    /// The stable word that events and API errors carry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "MODEL_AUTHENTICATION",
            Self::PaymentRequired => "MODEL_PAYMENT_REQUIRED",
            Self::NotFound => "MODEL_NOT_FOUND",
            Self::RequestInvalid => "MODEL_REQUEST_INVALID",
            Self::RequestTooLarge => "MODEL_REQUEST_TOO_LARGE",
            Self::RateLimited => "MODEL_RATE_LIMITED",
            Self::ServerError => "MODEL_SERVER_ERROR",
            Self::Overloaded => "MODEL_OVERLOADED",
            Self::StreamCut => "MODEL_STREAM_CUT",
            Self::Malformed => "MODEL_MALFORMED",
            Self::Timeout => "MODEL_TIMEOUT",
            Self::Unreachable => "MODEL_UNREACHABLE",
            Self::EgressDenied => "EGRESS_DENIED",
        }
    }

    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::ServerError
                | Self::Overloaded
                | Self::StreamCut
                | Self::Timeout
                | Self::Unreachable
        )
    }

    /// Whether the provider may have worked on a request that failed in this way before any of its
    /// answer was seen.
    #[must_use]
    pub fn may_have_cost(self) -> bool {
        matches!(self, Self::StreamCut | Self::Malformed | Self::Timeout)
    }

    fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Authentication,
            402 => Self::PaymentRequired,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::RequestTooLarge,
            429 => Self::RateLimited,
            529 => Self::Overloaded,
            500..=599 => Self::ServerError,
            _ => Self::RequestInvalid,
        }
    }

    /// Error types of the Messages API, <https://docs.claude.com/en/api/errors>.
    pub(super) fn of_type(kind: &str) -> Option<Self> {
        Some(match kind {
            "authentication_error" | "permission_error" => Self::Authentication,
            "billing_error" => Self::PaymentRequired,
            "not_found_error" => Self::NotFound,
            "invalid_request_error" => Self::RequestInvalid,
            "request_too_large" => Self::RequestTooLarge,
            "rate_limit_error" => Self::RateLimited,
            "api_error" => Self::ServerError,
            "overloaded_error" => Self::Overloaded,
            "timeout_error" => Self::Timeout,
            _ => return None,
        })
    }

    /// The Messages API's own word for such an error.
    #[must_use]
    pub fn api_type(self) -> &'static str {
        match self {
            Self::Authentication => "authentication_error",
            Self::PaymentRequired => "billing_error",
            Self::NotFound => "not_found_error",
            Self::RequestInvalid => "invalid_request_error",
            Self::RequestTooLarge => "request_too_large",
            Self::RateLimited => "rate_limit_error",
            Self::Overloaded => "overloaded_error",
            Self::Timeout => "timeout_error",
            Self::EgressDenied => "permission_error",
            Self::ServerError | Self::StreamCut | Self::Malformed | Self::Unreachable => {
                "api_error"
            }
        }
    }

    /// What happened and what to do; the provider's words come after it.
    fn sentence(self) -> &'static str {
        match self {
            Self::Authentication => {
                "The provider did not accept the key for this model. Check the workspace's key and that its account may use the model."
            }
            Self::PaymentRequired => {
                "The provider wants to be paid first. Check the credit of the key's account."
            }
            Self::NotFound => {
                "The provider does not know this model, or there is no Messages API at this base URL. Check both in the workspace's settings."
            }
            Self::RequestInvalid => "The provider did not accept the request.",
            Self::RequestTooLarge => {
                "The conversation is too long for this model. Start a new session, or choose a model with a larger context."
            }
            Self::RateLimited => {
                "The provider's rate limit was reached. Wait a little, or raise the limit of the key's account."
            }
            Self::ServerError => "The provider had an internal error. Try again in a moment.",
            Self::Overloaded => "The provider is overloaded. Try again in a moment.",
            Self::StreamCut => {
                "The connection to the provider ended in the middle of an answer. Try again."
            }
            Self::Malformed => {
                "The provider sent an answer that is not in the form of the Messages API. Check the base URL."
            }
            Self::Timeout => "The provider did not answer in time. Try again in a moment.",
            Self::Unreachable => {
                "The provider could not be reached. Check the base URL and the network."
            }
            Self::EgressDenied => "The base URL is not one that this server may reach.",
        }
    }
}

#[derive(Deserialize)]
struct ErrorEnvelope {
    error: ErrorBody,
}

impl ModelError {
    /// An error of this kind in our own words.
    #[must_use]
    pub fn new(reason: ModelErrorReason) -> Self {
        Self {
            reason,
            message: reason.sentence().to_owned(),
            retry_after: None,
        }
    }

    /// The error as events carry it.
    #[must_use]
    pub fn detail(&self) -> ErrorDetail {
        ErrorDetail {
            reason: self.reason.as_str().to_owned(),
            message: self.message.clone(),
        }
    }

    /// Classifies a response that is not a success.
    pub(super) fn of_response(
        status: u16,
        retry_after: Option<Duration>,
        body: &[u8],
        key: &SecretString,
    ) -> Self {
        let parsed = serde_json::from_slice::<ErrorEnvelope>(body).map(|envelope| envelope.error);
        let body = parsed.unwrap_or_default();
        let by_status = ModelErrorReason::of_status(status);
        if (300..400).contains(&status) {
            let mut error = Self::new(ModelErrorReason::RequestInvalid);
            error.message = format!(
                "The provider answered with a redirect (status {status}), which is not followed. Check the base URL."
            );
            return error;
        }
        let mut error = Self::of_body(by_status, &body, key);
        error.retry_after = retry_after;
        error
    }

    /// Classifies an error event inside a stream.
    pub(super) fn of_event(body: &ErrorBody, key: &SecretString) -> Self {
        let reason = ModelErrorReason::of_type(&body.kind).unwrap_or(ModelErrorReason::ServerError);
        Self::of_body(reason, body, key)
    }

    /// Classifies a failure of the transport. Nothing of it is quoted: it may contain URLs.
    pub(super) fn of_transport(error: &reqwest::Error) -> Self {
        if let Some(denied) = egress::denied_in(error) {
            return Self::from(denied.clone());
        }
        if error.is_timeout() {
            return Self::new(ModelErrorReason::Timeout);
        }
        if error.is_connect() || error.is_builder() || error.is_request() {
            return Self::new(ModelErrorReason::Unreachable);
        }
        Self::new(ModelErrorReason::StreamCut)
    }

    fn of_body(reason: ModelErrorReason, body: &ErrorBody, key: &SecretString) -> Self {
        let too_long = reason == ModelErrorReason::RequestInvalid
            && body.message.contains("prompt is too long");
        let mut error = Self::new(if too_long {
            ModelErrorReason::RequestTooLarge
        } else {
            reason
        });
        // Providers like to repeat a refused key, in part: their words are left out then.
        if reason != ModelErrorReason::Authentication && !body.message.trim().is_empty() {
            let quoted = quote(&body.message, key);
            error.message = format!("{} It says: {quoted}", error.message);
        }
        error
    }
}

impl From<Denied> for ModelError {
    fn from(denied: Denied) -> Self {
        // A name that is not known may be mistyped, or its server away: nothing was forbidden.
        let reason = match denied.reason {
            DenyReason::NoAddress => ModelErrorReason::Unreachable,
            _ => ModelErrorReason::EgressDenied,
        };
        let mut error = Self::new(reason);
        error.message = format!("{} ({}: {})", error.message, denied.host, denied.reason);
        error
    }
}

/// A provider's message on one line, bounded, with every piece of the key masked.
pub(super) fn quote(text: &str, key: &SecretString) -> String {
    let masked = mask(text, key.expose_secret());
    let line: Vec<&str> = masked
        .split(|character: char| character.is_control() || character.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    let line = line.join(" ");
    match line.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Replaces every run of bytes that is a piece of the key by three asterisks.
fn mask(text: &str, key: &str) -> String {
    let piece = KEY_PIECE_BYTES.min(key.len());
    if piece == 0 || text.len() < piece {
        return text.to_owned();
    }
    let mut secret = vec![false; text.len()];
    let (bytes, key) = (text.as_bytes(), key.as_bytes());
    for (start, window) in bytes.windows(piece).enumerate() {
        if key.windows(piece).any(|part| part == window) {
            secret[start..start + piece].fill(true);
        }
    }
    let mut masked = String::with_capacity(text.len());
    for (index, character) in text.char_indices() {
        if !secret[index] {
            masked.push(character);
        } else if index == 0 || !secret[index - 1] {
            masked.push_str("***");
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretString {
        SecretString::from("an-example-key-of-some-length")
    }

    #[test]
    fn a_quoted_message_has_neither_the_key_nor_a_piece_of_it() {
        for text in [
            "bad key an-example-key-of-some-length given",
            "bad key an-example***",
            "bad key ...some-length",
        ] {
            let quoted = quote(text, &key());
            assert!(quoted.starts_with("bad key "), "{quoted}");
            assert!(quoted.contains("***"), "{quoted}");
            assert!(!quoted.contains("example"), "{quoted}");
            assert!(!quoted.contains("length"), "{quoted}");
        }
    }

    #[test]
    fn a_short_key_is_masked_too() {
        let quoted = quote("got pw9, want better", &SecretString::from("pw9"));
        assert_eq!(quoted, "got ***, want better");
    }

    #[test]
    fn a_quoted_message_is_one_bounded_line() {
        let quoted = quote(&"word\n\u{1b}[31m ".repeat(400), &key());
        assert!(!quoted.contains(char::is_control));
        assert_eq!(quoted.chars().count(), QUOTED_CHARS_MAX + 1);
    }

    #[test]
    fn a_message_about_authentication_is_never_quoted() {
        let body = br#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key: abc"}}"#;
        let error = ModelError::of_response(401, None, body, &key());
        assert_eq!(error.reason, ModelErrorReason::Authentication);
        assert!(!error.message.contains("abc"));
    }

    #[test]
    fn statuses_have_their_reasons() {
        use ModelErrorReason as Reason;
        let table = [
            (301, Reason::RequestInvalid, false),
            (400, Reason::RequestInvalid, false),
            (401, Reason::Authentication, false),
            (402, Reason::PaymentRequired, false),
            (403, Reason::Authentication, false),
            (404, Reason::NotFound, false),
            (408, Reason::Timeout, true),
            (413, Reason::RequestTooLarge, false),
            (422, Reason::RequestInvalid, false),
            (429, Reason::RateLimited, true),
            (500, Reason::ServerError, true),
            (502, Reason::ServerError, true),
            (503, Reason::ServerError, true),
            (504, Reason::Timeout, true),
            (529, Reason::Overloaded, true),
        ];
        for (status, reason, transient) in table {
            let error = ModelError::of_response(status, None, b"not json", &key());
            assert_eq!(error.reason, reason, "{status}");
            assert_eq!(error.reason.is_transient(), transient, "{status}");
        }
    }

    #[test]
    fn a_prompt_that_is_too_long_is_said_to_be() {
        let body = br#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#;
        let error = ModelError::of_response(400, None, body, &key());
        assert_eq!(error.reason, ModelErrorReason::RequestTooLarge);
        assert!(error.message.contains("210000 tokens"));
    }
}

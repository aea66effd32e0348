//! What every call gets beside its handler: the caller's deadline, and a reason for the errors that
//! the transport makes itself.

use std::{collections::HashMap, time::Duration};

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use http::HeaderMap;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::{Instant, timeout_at};
use tokio_stream::Stream;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::DOMAIN;

/// How much earlier than the caller asks a call is ended: the transport watches the same header, and
/// would answer CANCELLED.
const AHEAD: Duration = Duration::from_millis(2);

/// Ends a call at the time that its `grpc-timeout` names with DEADLINE_EXCEEDED, also in the middle
/// of a stream.
pub async fn keep_deadline(request: Request, next: Next) -> Response {
    let Some(timeout) = timeout_of(request.headers()) else {
        return next.run(request).await;
    };
    let Some(deadline) = Instant::now().checked_add(timeout.saturating_sub(AHEAD)) else {
        return next.run(request).await;
    };
    match timeout_at(deadline, next.run(request)).await {
        // An error without a message is all in the head, and clients take nothing after it.
        Ok(response) if response.body().is_end_stream() => response,
        Ok(response) => response.map(|body| Body::new(StreamBody::new(until(deadline, body)))),
        Err(_) => expired().into_http(),
    }
}

/// The frames of a body up to a deadline, and then trailers that say so.
fn until(
    deadline: Instant,
    body: Body,
) -> impl Stream<Item = Result<Frame<bytes::Bytes>, axum::Error>> {
    futures::stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match timeout_at(deadline, body.frame()).await {
            Ok(frame) => frame.map(|frame| (frame, Some(body))),
            Err(_) => Some((Ok(Frame::trailers(trailers(&expired()))), None)),
        }
    })
}

fn expired() -> Status {
    explained(
        Code::DeadlineExceeded,
        "the deadline of the call is over",
        "DEADLINE_EXCEEDED",
    )
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if let Err(error) = status.add_header(&mut trailers) {
        tracing::error!(error.message = %error, "a status can't be written as trailers");
    }
    trailers
}

/// Gives an error without a reason one. Handlers always name theirs, so it is one that the transport
/// made: of a method that does not exist, of a message that is too large or is none.
pub async fn explain_errors(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok && status.details().is_empty() => {
            let (mut parts, body) = response.into_parts();
            let status = explained(status.code(), status.message(), reason_of(status.code()));
            parts.headers.extend(trailers(&status));
            Response::from_parts(parts, body)
        }
        _ => response,
    }
}

/// The answer to a call of a method that does not exist.
pub fn unknown_method() -> Response {
    explained(
        Code::Unimplemented,
        "this server has no such method",
        reason_of(Code::Unimplemented),
    )
    .into_http()
}

fn explained(code: Code, message: &str, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

fn reason_of(code: Code) -> &'static str {
    match code {
        Code::Unimplemented => "UNKNOWN_METHOD",
        Code::OutOfRange => "MESSAGE_TOO_LARGE",
        Code::NotFound => "NOT_FOUND",
        Code::Internal => "MALFORMED_MESSAGE",
        Code::Cancelled => "CANCELLED",
        _ => "TRANSPORT",
    }
}

/// The time that a caller gives: digits and a unit, as the gRPC protocol says. What is malformed is
/// as good as absent.
fn timeout_of(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_spells_them() {
        let cases = [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("", None),
            ("S", None),
            ("1", None),
            ("-1S", None),
            ("+1S", None),
            ("100000000S", None),
            ("1é", None),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", value.parse().expect("a header"));
            assert_eq!(timeout_of(&headers), expected, "{value}");
        }
    }
}

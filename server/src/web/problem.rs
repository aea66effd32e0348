//! Errors of plain HTTP routes: the same reason and sentence as over gRPC.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Serialize;
use tonic::Code;

use crate::error::Error;

/// An error as a JSON answer.
#[derive(Debug)]
pub struct Problem(pub Error);

#[derive(Serialize)]
struct Body {
    reason: &'static str,
    message: String,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl Problem {
    /// The HTTP status for the error.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.0.code() {
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
            Code::ResourceExhausted => StatusCode::PAYLOAD_TOO_LARGE,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::InvalidArgument | Code::FailedPrecondition | Code::Cancelled => {
                StatusCode::BAD_REQUEST
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0.log();
        let body = Body {
            reason: self.0.reason(),
            message: self.0.public_message(),
        };
        (self.status(), Json(body)).into_response()
    }
}

//! The one error of the server's inside, and its exhaustive translation to a gRPC status with rich
//! details. Internal text stays here: it is logged once and never leaves.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use membrane_agent::entries::BadEntry;
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::db::{self, DbError};

/// Why something was not done.
#[derive(Debug, Error)]
pub enum Error {
    /// No valid credential.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// It does not exist, or the caller may not know that it does.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The caller may see it, and may not do this to it.
    #[error("{0}")]
    PermissionDenied(&'static str),
    /// Fields of the request are wrong.
    #[error("{} field(s) are invalid", .0.len())]
    Invalid(Vec<(String, String)>),
    /// The request as a whole can't be accepted; reason and sentence.
    #[error("{message}")]
    Rejected {
        /// A stable word.
        reason: &'static str,
        /// A sentence for people.
        message: String,
    },
    /// The state does not allow it now; reason and sentence.
    #[error("{message}")]
    Precondition {
        /// A stable word.
        reason: &'static str,
        /// A sentence for people.
        message: String,
    },
    /// The thing changed since the caller read it.
    #[error("it has changed since it was read; read it again")]
    StaleEtag,
    /// There is one already.
    #[error("{0} already exists")]
    AlreadyExists(Cow<'static, str>),
    /// A limit is reached; reason and sentence.
    #[error("{message}")]
    Exhausted {
        /// A stable word.
        reason: &'static str,
        /// A sentence for people.
        message: String,
    },
    /// Something that was stored is gone or damaged; reason and sentence.
    #[error("{message}")]
    Lost {
        /// A stable word.
        reason: &'static str,
        /// A sentence for people.
        message: String,
    },
    /// The server stops, or can't store anything just now.
    #[error("the server is {0}; try again")]
    Unavailable(&'static str),
    /// The caller went away in mid-request.
    #[error("the caller stopped sending")]
    Cancelled,
    /// The database failed.
    #[error("database error")]
    Database(#[source] DbError),
    /// The file system failed.
    #[error("file system error")]
    Io(#[from] std::io::Error),
    /// Something of ours is broken.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<BadEntry> for Error {
    fn from(bad: BadEntry) -> Self {
        Self::invalid(bad.field, bad.message)
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        if !db::is_passing(&error) {
            return Self::Database(error);
        }
        tracing::warn!(error.message = %error, "the database could not be used; whoever asked is told to try again");
        Self::Unavailable("out of touch with its database")
    }
}

/// The domain of every reason of ours.
pub const DOMAIN: &str = "membrane";

impl Error {
    /// One invalid field.
    #[must_use]
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::Invalid(vec![(field.into(), description.into())])
    }

    /// The stable word for this error, for ErrorInfo and for plain HTTP answers.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "UNAUTHENTICATED",
            Self::NotFound(_) => "NOT_FOUND",
            Self::PermissionDenied(_) => "PERMISSION_DENIED",
            Self::Invalid(_) => "INVALID_FIELDS",
            Self::Rejected { reason, .. }
            | Self::Precondition { reason, .. }
            | Self::Exhausted { reason, .. }
            | Self::Lost { reason, .. } => reason,
            Self::StaleEtag => "STALE_ETAG",
            Self::AlreadyExists(_) => "ALREADY_EXISTS",
            Self::Unavailable(_) => "UNAVAILABLE",
            Self::Cancelled => "CANCELLED",
            Self::Database(_) | Self::Io(_) | Self::Internal(_) => "INTERNAL",
        }
    }

    /// The gRPC code for this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unauthenticated(_) => Code::Unauthenticated,
            Self::NotFound(_) => Code::NotFound,
            Self::PermissionDenied(_) => Code::PermissionDenied,
            Self::Invalid(_) | Self::Rejected { .. } => Code::InvalidArgument,
            Self::Precondition { .. } => Code::FailedPrecondition,
            Self::StaleEtag => Code::Aborted,
            Self::AlreadyExists(_) => Code::AlreadyExists,
            Self::Exhausted { .. } => Code::ResourceExhausted,
            Self::Lost { .. } => Code::DataLoss,
            Self::Unavailable(_) => Code::Unavailable,
            Self::Cancelled => Code::Cancelled,
            Self::Database(_) | Self::Io(_) | Self::Internal(_) => Code::Internal,
        }
    }

    /// What people outside may read.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::Database(_) | Self::Io(_) | Self::Internal(_) => {
                "something failed inside the server; its log has the details".to_owned()
            }
            Self::Invalid(fields) => fields
                .iter()
                .map(|(field, description)| format!("{field}: {description}"))
                .collect::<Vec<_>>()
                .join("; "),
            other => other.to_string(),
        }
    }

    /// Logs what must not leave, once.
    pub fn log(&self) {
        if !matches!(self.code(), Code::Internal | Code::DataLoss) {
            return;
        }
        let source = std::error::Error::source(self).map(ToString::to_string);
        tracing::error!(error.message = %self, error.source = source.as_deref(), "a request failed inside the server");
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.log();
        let mut details = ErrorDetails::with_error_info(error.reason(), DOMAIN, HashMap::new());
        if let Error::Invalid(fields) = &error {
            let violations: Vec<FieldViolation> = fields
                .iter()
                .map(|(field, description)| FieldViolation::new(field, description))
                .collect();
            details.set_bad_request(violations);
        }
        if let Error::Unavailable(_) | Error::Exhausted { .. } = &error {
            details.set_retry_info(Some(Duration::from_secs(1)));
        }
        Status::with_error_details(error.code(), error.public_message(), details)
    }
}

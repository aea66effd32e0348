//! Why a tool refuses or fails, in words that the model can act on and that name no host path.

use std::io;

use thiserror::Error;

use super::ToolOutput;

/// What a tool comes to.
pub(super) type Answer = Result<ToolOutput, Failure>;

/// A sentence for the model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub(super) struct Failure(String);

impl Failure {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A file operation failed. `shown` is the file as the agent names it.
    pub(super) fn io(shown: &str, error: &io::Error) -> Self {
        Self(format!("{shown} {}.", predicate(error)))
    }

    /// The call was interrupted.
    pub(super) fn interrupted() -> Self {
        Self("The call was interrupted.".to_owned())
    }
}

impl From<Failure> for ToolOutput {
    fn from(failure: Failure) -> Self {
        Self::error(failure.0)
    }
}

/// What is the matter with a file, after its name. The system's own words could name host paths.
fn predicate(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist",
        io::ErrorKind::PermissionDenied | io::ErrorKind::CrossesDevices => {
            "may not be used: permission is denied, or a symbolic link leads out of its tree"
        }
        io::ErrorKind::NotADirectory => "is below something that is not a directory",
        io::ErrorKind::IsADirectory => "is a directory",
        io::ErrorKind::AlreadyExists => "exists already",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "could not be written: no space is left"
        }
        io::ErrorKind::ReadOnlyFilesystem => "is on a read-only file system",
        io::ErrorKind::InvalidFilename => "has a name that is too long or not valid",
        io::ErrorKind::Interrupted => "was being read when the call was interrupted",
        _ => "could not be used: the file system reported an error",
    }
}

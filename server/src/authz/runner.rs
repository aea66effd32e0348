//! Runners and users each have methods of their own, and no token opens both.

use crate::{
    error::Error,
    id::{RunnerTokenId, WorkspaceId},
};

/// A runner that calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runner {
    /// Its token.
    pub token: RunnerTokenId,
    /// The only workspace whose runs it may have; all if none.
    pub workspace: Option<WorkspaceId>,
}

/// The methods of runners. What they may do to a run is then decided by their lease.
pub const RUNNER_METHODS: [&str; 12] = [
    "/membrane.v1.RunService/ClaimRun",
    "/membrane.v1.RunService/StartRun",
    "/membrane.v1.RunService/HeartbeatRun",
    "/membrane.v1.RunService/DownloadRunBase",
    "/membrane.v1.RunService/AppendRunEvents",
    "/membrane.v1.RunService/ReadRunManifest",
    "/membrane.v1.RunService/DownloadRunBlobs",
    "/membrane.v1.RunService/FindMissingRunBlobs",
    "/membrane.v1.RunService/UploadRunBlobs",
    "/membrane.v1.RunService/CommitRunResult",
    "/membrane.v1.RunService/UploadRunResult",
    "/membrane.v1.RunService/FinishRun",
];

/// Whether a method is one of the caller's kind.
///
/// # Errors
/// [`Error::PermissionDenied`].
pub fn check_kind(path: &str, is_runner: bool) -> Result<(), Error> {
    match (RUNNER_METHODS.contains(&path), is_runner) {
        (true, false) => Err(Error::PermissionDenied(
            "only a runner may do this, with a runner token",
        )),
        (false, true) => Err(Error::PermissionDenied(
            "a runner token opens the methods of runners only",
        )),
        _ => Ok(()),
    }
}

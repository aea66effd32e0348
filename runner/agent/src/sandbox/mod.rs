//! The sandbox: every process that an agent starts runs inside. It fails closed. Knows nothing of
//! tools; it turns a command into a process that sees the workspace, its HOME and nothing else.
//!
//! Bubblewrap makes the namespaces (`plan`). The first process in them is our own program, which
//! adds what narrows them further: limits, Landlock, seccomp (`inside`).

mod doctor;
mod doors;
mod etc;
mod guards;
mod inside;
mod limits;
mod options;
mod plan;
mod probe;
mod process;
pub mod toolchains;

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

pub use doctor::{Check, Outcome, doctor};
pub use doors::{Door, Keeper, OpenDoor};
#[cfg(feature = "switchable-guards")]
pub use guards::Guard;
pub use guards::Guards;
pub use inside::{exceeded_by, run_if_asked};
pub use limits::{Limit, Limits};
pub use options::{SandboxChoice, SandboxOptions};
pub(crate) use process::{Exit, Process, Progress};

use doors::Doors;
use plan::{First, Plan};
use toolchains::Toolchain;

/// Where an agent sees the workspace's files.
pub const WORKSPACE: &str = "/workspace";
/// Where an agent sees the workspace's HOME.
pub const HOME: &str = "/home/agent";

/// The host directories behind [`WORKSPACE`] and [`HOME`], absolute. They never appear in any
/// output.
#[derive(Debug, Clone)]
pub struct WorkspacePlace {
    /// The workspace's files.
    pub files: PathBuf,
    /// The workspace's HOME.
    pub home: PathBuf,
}

/// Whether processes run inside a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxMode {
    /// Always. Where it can't be had, no process is started.
    #[default]
    Required,
    /// Never: processes run as the server's user with a cleaned environment, see the host's files
    /// and network, and are killed by process group, which a daemon can leave. The operator's
    /// explicit act.
    None,
}

/// What the sandbox shows an agent beside the workspace and the system's directories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Whether processes run inside at all.
    pub mode: SandboxMode,
    /// The bubblewrap program; none to look for it in the system's directories.
    pub bwrap: Option<PathBuf>,
    /// The program that is executed as the first process inside, which calls [`run_if_asked`]; none
    /// for this one itself.
    pub inside: Option<PathBuf>,
    /// Where the made-up files of /etc are kept; none for a temporary directory, which a process
    /// that is killed leaves behind.
    pub etc: Option<PathBuf>,
    /// Host directories and files shown read-only under their own paths, absolute. One that does
    /// not exist is left out (and [`doctor`] says so); one below [`WORKSPACE`] or [`HOME`] is
    /// hidden by these.
    pub ro_binds: Vec<PathBuf>,
    /// Directories put before the system's on the PATH inside, absolute.
    pub path: Vec<PathBuf>,
    /// What the processes of one call may use together.
    pub limits: Limits,
    /// Which guards stand: all, but in a build for tests.
    pub guards: Guards,
    /// Variables set inside. HOME, PATH, USER and TMPDIR can't be changed.
    pub env: Vec<(String, String)>,
    /// Toolchains that are offered, each under a name of its own. All are shown but those that a
    /// workspace hides.
    pub toolchains: Vec<Toolchain>,
}

impl SandboxConfig {
    /// The same, with toolchains offered as well. Of equal names the first stays.
    #[must_use]
    pub fn with_toolchains(mut self, found: &[Toolchain]) -> Self {
        for toolchain in found {
            if self
                .toolchains
                .iter()
                .all(|known| known.name != toolchain.name)
            {
                self.toolchains.push(toolchain.clone());
            }
        }
        self
    }
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

/// A process to start.
#[derive(Debug)]
pub(crate) struct Task<'task> {
    /// The workspace it sees; none for an empty one that is forgotten afterwards.
    pub place: Option<&'task WorkspacePlace>,
    /// Working directory, relative to [`WORKSPACE`].
    pub cwd: &'task std::path::Path,
    /// Variables beside the sandbox's own. HOME, PATH, TMPDIR and USER are left out.
    pub(crate) env: &'task [(String, String)],
    /// Its ways out, where there is a sandbox; at most eight.
    pub doors: &'task [Door],
    /// For which tool call it is; may be empty.
    pub tool_call_id: &'task str,
    /// Names of toolchains that it does not see.
    pub hidden_toolchains: &'task [String],
    /// Program and arguments.
    pub argv: Vec<String>,
}

/// A process could not be started.
#[derive(Debug, Error)]
pub(crate) enum SpawnError {
    /// The sandbox is required and not there.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The operating system refused.
    #[error("the process could not be started")]
    Io(#[from] std::io::Error),
}

/// The sandbox of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Shared {
    Enforced(Plan),
    Disabled(SandboxConfig, First),
    Unavailable(Unavailable),
}

impl Sandbox {
    /// Sets the sandbox up and tries it: a process is run inside and has to find itself without
    /// capabilities, without a way to gain privileges, without network and alone.
    ///
    /// # Errors
    /// [`Unavailable`] if the sandbox is required and does not work, or if the configuration
    /// contradicts itself.
    pub async fn start(config: SandboxConfig) -> Result<Self, Unavailable> {
        if config.mode == SandboxMode::None {
            let first = First::new(&config, false)?;
            return Ok(Self::of(Shared::Disabled(config, first)));
        }
        let plan = probe::working_plan(&config).await?;
        Ok(Self::of(Shared::Enforced(plan)))
    }

    /// A sandbox that is set up and not tried, for a test that leaves guards out.
    ///
    /// # Errors
    /// [`Unavailable`] if there is no bubblewrap.
    #[cfg(feature = "switchable-guards")]
    pub fn untried(config: SandboxConfig) -> Result<Self, Unavailable> {
        let plan = Plan::new(&probe::find(&config)?, &config, false)?;
        Ok(Self::of(Shared::Enforced(plan)))
    }

    /// A sandbox that refuses every process, for a host that goes on without one: tools that start
    /// no process keep working.
    #[must_use]
    pub fn unavailable(why: Unavailable) -> Self {
        Self::of(Shared::Unavailable(why))
    }

    /// What holds.
    #[must_use]
    pub fn state(&self) -> SandboxState {
        match &*self.shared {
            Shared::Enforced(_) => SandboxState::Enforced,
            Shared::Disabled(..) => SandboxState::Disabled,
            Shared::Unavailable(Unavailable { reason, fix }) => SandboxState::Unavailable {
                reason: reason.clone(),
                fix: fix.clone(),
            },
        }
    }

    /// What the processes of one call may use together, where the sandbox is enforced.
    pub(crate) fn limits(&self) -> Limits {
        match &*self.shared {
            Shared::Enforced(plan) => plan.limits(),
            Shared::Disabled(..) | Shared::Unavailable(_) => Limits::default(),
        }
    }

    /// Starts a process.
    ///
    /// # Errors
    /// [`SpawnError`] if there is no sandbox or no resources; what goes wrong later is in its
    /// [`Exit`].
    pub(crate) fn spawn(&self, task: &Task<'_>) -> Result<Process, SpawnError> {
        match &*self.shared {
            Shared::Enforced(plan) => {
                let doors = Doors {
                    doors: task.doors.to_vec(),
                    tool_call_id: task.tool_call_id.to_owned(),
                    guards: plan.guards().clone(),
                };
                Ok(Process::start(plan.command(task)?, true, doors)?)
            }
            Shared::Disabled(config, first) => {
                let command = first.unconfined_command(config, task)?;
                Ok(Process::start(command, false, Doors::default())?)
            }
            Shared::Unavailable(why) => Err(why.clone().into()),
        }
    }

    fn of(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl Unavailable {
    fn new(reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            fix: fix.into(),
        }
    }
}

//! The tools that an agent calls: what they are, how their input is checked, and one call that
//! never fails otherwise than as a tool result. Knows nothing of models and permissions.

mod definitions;
mod output;

use std::path::PathBuf;

use membrane_proto::v1::{Todo, ToolContent, Truncation, tool_result};
use serde_json::Value;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::sandbox::Sandbox;

pub use output::OutputSink;

/// Names of all tools, in the order in which they are offered.
pub const TOOL_NAMES: [&str; 7] = ["Read", "Write", "Edit", "Bash", "Glob", "Grep", "TodoWrite"];

/// What a tool may do, which decides who has to be asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolKind {
    /// Changes nothing; may run beside others of its kind.
    ReadOnly,
    /// Writes files.
    Edit,
    /// Starts processes.
    Execute,
    /// Concerns the agent alone.
    Internal,
}

/// A tool as the model is told about it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolDefinition {
    /// Its name.
    pub name: &'static str,
    /// What it does and what to mind.
    pub description: &'static str,
    /// JSON Schema of its input, an object.
    pub input_schema: Value,
}

/// One call as the model made it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolInvocation {
    /// Id of the call.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Its input; not checked yet.
    pub input: Value,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToolOutput {
    /// What the model is told, in order.
    pub content: Vec<ToolContent>,
    /// Whether it is an error.
    pub is_error: bool,
    /// What was cut off; none if nothing was.
    pub truncation: Option<Truncation>,
    /// The same in a form made for showing it.
    pub detail: Option<tool_result::Detail>,
    /// The agent's list after the call; only of `TodoWrite`.
    pub todos: Option<Vec<Todo>>,
}

/// The host directories behind `/workspace` and `/home/agent`. They never appear in any output.
#[derive(Debug, Clone)]
pub struct WorkspacePlace {
    /// The workspace's files.
    pub files: PathBuf,
    /// The workspace's HOME.
    pub home: PathBuf,
}

/// A toolbox could not be set up.
#[derive(Debug, Error)]
pub enum ToolboxError {
    /// One of the workspace's directories could not be opened.
    #[error("the workspace's {which} directory could not be opened")]
    Open {
        /// Which one: `files` or `home`.
        which: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The tools of one session. It keeps what has been read and Bash's working directory between
/// turns.
#[derive(Debug)]
pub struct Toolbox {
    #[allow(dead_code)]
    sandbox: Sandbox,
}

impl Toolbox {
    /// Opens the workspace's directories.
    ///
    /// # Errors
    /// [`ToolboxError::Open`] if one of them is missing or not a directory.
    pub fn new(_place: WorkspacePlace, sandbox: Sandbox) -> Result<Self, ToolboxError> {
        Ok(Self { sandbox })
    }

    /// The definitions of those tools that are allowed, in the order of [`TOOL_NAMES`]. Names that
    /// are no tool are left out.
    #[must_use]
    pub fn definitions(&self, allowed: &[String]) -> Vec<ToolDefinition> {
        definitions::all()
            .into_iter()
            .filter(|definition| allowed.iter().any(|name| name == definition.name))
            .collect()
    }

    /// What a tool may do; none for an unknown name.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<ToolKind> {
        definitions::kind(name)
    }

    /// Runs one call. It never fails: every error is an output that says so. Dropping the future
    /// stops the tool and kills its processes, as `cancel` does.
    pub async fn call(
        &self,
        call: ToolInvocation,
        _output: OutputSink,
        _cancel: CancellationToken,
    ) -> ToolOutput {
        ToolOutput::error(format!("There is no tool named {}.", call.name))
    }
}

impl ToolOutput {
    /// An answer of plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            content: vec![text_content(text.into())],
            ..Self::default()
        }
    }

    /// An error that the model can act on.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            is_error: true,
            ..Self::text(text)
        }
    }
}

fn text_content(text: String) -> ToolContent {
    ToolContent {
        kind: Some(membrane_proto::v1::tool_content::Kind::Text(text)),
    }
}

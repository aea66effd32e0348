//! The tools that an agent calls: what they are, how their input is checked, and one call that
//! never fails otherwise than as a tool result. Knows nothing of models and permissions.

mod bash;
mod change;
mod collect;
mod definitions;
mod failure;
mod glob;
mod grep;
mod lines;
mod matches;
mod notebook;
mod output;
mod paths;
mod read;
mod seen;
mod todo;
mod walk;
mod write;

use std::{borrow::Cow, sync::Arc};

use membrane_proto::v1::{Todo, ToolContent, Truncation, tool_content, tool_result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::sandbox::{Door, Sandbox};
use bash::Shell;
use failure::{Answer, Failure};
use paths::Roots;
use seen::Seen;

pub use crate::sandbox::WorkspacePlace;
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
    /// Calls an MCP server.
    Mcp,
}

/// A tool as the model is told about it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolDefinition {
    /// Its name.
    pub name: Cow<'static, str>,
    /// What it does and what to mind.
    pub description: Cow<'static, str>,
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
    shared: Shared,
    shell: Shell,
}

/// What tools work on. Cheap to clone: file tools run on threads of their own.
#[derive(Debug, Clone)]
struct Shared {
    roots: Arc<Roots>,
    seen: Arc<Seen>,
}

impl Toolbox {
    /// Opens the workspace's directories.
    ///
    /// # Errors
    /// [`ToolboxError::Open`] if one of them is missing, not a directory or not an absolute path.
    pub fn new(place: WorkspacePlace, sandbox: Sandbox) -> Result<Self, ToolboxError> {
        let shared = Shared {
            roots: Arc::new(Roots::open(&place)?),
            seen: Arc::default(),
        };
        Ok(Self {
            shared,
            shell: Shell::new(sandbox, place),
        })
    }

    /// Sets the variables of every process that is started from now on, beside the sandbox's own.
    /// HOME, PATH, TMPDIR and USER are left out.
    pub fn set_environment(&self, variables: &[(String, String)]) {
        self.shell.set_env(variables);
    }

    /// Hides these toolchains, by name, from every process that is started from now on.
    pub fn hide_toolchains(&self, names: &[String]) {
        self.shell.hide_toolchains(names);
    }

    /// Sets the doors of every process that is started from now on. Their keepers are kept until
    /// others are set and the last process with them has ended.
    pub fn set_doors(&self, doors: &[Door]) {
        self.shell.set_doors(doors);
    }

    /// The definitions of those tools that are allowed, in the order of [`TOOL_NAMES`]. Names that
    /// are no tool are left out.
    #[must_use]
    pub fn definitions(&self, allowed: &[String]) -> Vec<ToolDefinition> {
        definitions::all()
            .into_iter()
            .filter(|definition| allowed.iter().any(|name| *name == definition.name))
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
        output: OutputSink,
        cancel: CancellationToken,
    ) -> ToolOutput {
        // A thread that is at work notices the drop of this future by it.
        let cancel = cancel.child_token();
        let _stopped_when_dropped = cancel.clone().drop_guard();
        let answer = self.answer(call, output, cancel).await;
        answer.unwrap_or_else(ToolOutput::from)
    }

    async fn answer(
        &self,
        call: ToolInvocation,
        output: OutputSink,
        cancel: CancellationToken,
    ) -> Answer {
        let ToolInvocation { id, name, input } = call;
        match name.as_str() {
            "Read" => self.blocking(input, cancel, read::read).await,
            "Write" => {
                self.blocking(input, cancel, |on, input, _| write::write(on, input))
                    .await
            }
            "Edit" => {
                self.blocking(input, cancel, |on, input, _| write::edit(on, input))
                    .await
            }
            "Glob" => self.blocking(input, cancel, glob::glob).await,
            "Grep" => self.blocking(input, cancel, grep::grep).await,
            "Bash" => {
                let input = parse(input)?;
                self.shell
                    .run(&self.shared, &id, input, output, &cancel)
                    .await
            }
            "TodoWrite" => todo::write(parse(input)?),
            _ => Err(Failure::new(format!("There is no tool named {name}."))),
        }
    }

    /// Runs file work on a thread of its own. Searching looks at `cancel` itself; writing is
    /// waited for, so that no file changes after the answer.
    async fn blocking<I: DeserializeOwned + Send + 'static>(
        &self,
        input: Value,
        cancel: CancellationToken,
        work: impl FnOnce(&Shared, I, &CancellationToken) -> Answer + Send + 'static,
    ) -> Answer {
        let input = parse(input)?;
        if cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        let shared = self.shared.clone();
        let working = tokio::task::spawn_blocking(move || work(&shared, input, &cancel));
        working.await.unwrap_or_else(|_| {
            Err(Failure::new(
                "The tool failed in a way that it should not have.",
            ))
        })
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
        kind: Some(tool_content::Kind::Text(text)),
    }
}

fn parse<I: DeserializeOwned>(input: Value) -> Result<I, Failure> {
    serde_json::from_value(input)
        .map_err(|error| Failure::new(format!("The input is not valid: {error}.")))
}

//! What a turn is told and what it reports, the same for every engine.

use membrane_proto::v1::{ErrorDetail, Event, TurnOutcome, Usage};

use crate::{mcp::McpServer, meter::Meter};

/// Which tool calls need a person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionMode {
    /// Ask before every tool that writes or runs something.
    Default,
    /// Ask before running something; write files without asking.
    AcceptEdits,
    /// Never ask. The host refuses it where the sandbox is not enforced.
    BypassPermissions,
}

/// How a workspace's own system prompt relates to the engine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemPrompt {
    /// The engine's alone.
    Default,
    /// The engine's, then this.
    Append(String),
    /// This alone.
    Replace(String),
}

/// Everything a turn needs to know, beside its model client, its tools and its host.
#[derive(Debug)]
pub struct TurnSpec {
    /// Model name as the provider spells it.
    pub model: String,
    /// Extended thinking per request in tokens, 0 for none.
    pub thinking_budget_tokens: u32,
    /// The system prompt.
    pub system_prompt: SystemPrompt,
    /// The tools the model is offered, by name; of MCP tools also with a `*` at the end, see
    /// [`crate::mcp::is_allowed`]. A tool that is not listed is never called.
    pub allowed_tools: Vec<String>,
    /// The MCP servers whose tools are offered, as far as they are allowed.
    pub mcp_servers: Vec<McpServer>,
    /// Whether the model's provider can be offered MCP tools, see [`crate::mcp::is_compatible`]. If
    /// not, no server is connected to, and the log says so.
    pub takes_mcp: bool,
    /// Which calls need an answer.
    pub permission_mode: PermissionMode,
    /// Stored events of the session, ascending, ending with the user message to answer. The
    /// conversation is rebuilt from them, also after a restart in mid-turn.
    pub history: Vec<Event>,
    /// At most so many model requests in this turn.
    pub max_requests: u32,
    /// What the session may still use, made for this turn.
    pub meter: Meter,
}

/// How a turn went. The host stores it as the turn's last event.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnReport {
    /// How it ended.
    pub outcome: TurnOutcome,
    /// What its meter has counted.
    pub usage: Usage,
    /// Why it failed or which limit it met, for people.
    pub error: Option<ErrorDetail>,
}

//! What one entry of a transcript is made of.

use membrane_proto::v1::{self as pb, BlockKind};
use prost_types::{Duration, Timestamp};

/// Names an entry for as long as the page lives: an open block keeps its key when it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A stored event, by sequence.
    Event(i64),
    /// A block of text or thinking, by block id.
    Block(String),
    /// A tool call, by call id.
    Tool(String),
}

/// One line, bubble or card.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub key: Key,
    /// The event that it begins with; 0 while it is open.
    pub sequence: i64,
    /// The turn it belongs to; empty if none.
    pub turn_id: String,
    /// When it was stored; absent while it is open.
    pub time: Option<Timestamp>,
    /// Whether it happened under a tool call of a parent agent.
    pub nested: bool,
    /// What it is.
    pub body: Body,
}

/// A file that goes with a message. What the model saw of it is not kept here: it may be large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Where it is, spelled as on the wire.
    pub path: String,
    /// Size in bytes when it was sent.
    pub size: i64,
    /// Whether the model was shown it as an image.
    pub is_image: bool,
}

impl Attachment {
    pub(super) fn of(attachment: &pb::Attachment) -> Self {
        Self {
            path: attachment.path.clone(),
            size: attachment.size,
            is_image: attachment.image.is_some(),
        }
    }
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A person's message.
    User {
        /// The text.
        text: String,
        /// Who wrote it.
        name: String,
        /// The files that go with it.
        attachments: Vec<Attachment>,
    },
    /// The agent's words.
    Text {
        /// Markdown.
        text: String,
        /// Whether it still grows.
        open: bool,
    },
    /// The agent's thinking.
    Thinking {
        /// The thinking; empty when the provider redacted it.
        text: String,
        /// Whether it still grows.
        open: bool,
        /// From start to end.
        duration: Option<Duration>,
    },
    /// A tool call with everything that belongs to it.
    Tool(Box<Tool>),
    /// The turn waits for others.
    Queued {
        /// Number of turns before it.
        ahead: i32,
        /// Whether it has begun, or ended, since.
        over: bool,
    },
    /// A turn ended.
    Ended(Box<TurnSummary>),
    /// A model request is tried again.
    Retry(pb::ModelRetry),
    /// A connection that was refused.
    Refused(Box<pb::EgressDecision>),
    /// Something else that people should know.
    Notice(pb::Notice),
    /// A limit of the session was met.
    Limit(pb::LimitMet),
    /// Programs in the sandbox made model requests, one after the other.
    Inside(Box<Inside>),
    /// An event of a kind that this page does not know.
    Unknown {
        /// Its sequence.
        sequence: i64,
    },
}

/// Model requests of programs in the sandbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inside {
    /// How many.
    pub requests: i32,
    /// How many of them were not answered, or not to the end.
    pub failed: i32,
    /// The model of the last.
    pub model: String,
    /// What they used.
    pub cost: Cost,
    /// Why the last one failed that did.
    pub error: Option<pb::ErrorDetail>,
}

impl Inside {
    pub(super) fn add(&mut self, request: &pb::InsideRequest) {
        self.requests += 1;
        self.model.clone_from(&request.model);
        if let Some(usage) = &request.usage {
            self.cost = self.cost.plus(Cost::of(usage));
        }
        if let Some(error) = &request.error {
            self.failed += 1;
            self.error = Some(error.clone());
        }
    }
}

/// A tool call with its permission request and its result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tool {
    /// Its id.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// Its input as JSON; partial while `input_open`.
    pub input: String,
    /// Whether the input still grows.
    pub input_open: bool,
    /// What it printed so far; superseded by the result.
    pub output: String,
    /// The question to a person, if there was one.
    pub permission: Option<Permission>,
    /// The answer.
    pub result: Option<pb::ToolResult>,
    /// Whether its turn ended without a result.
    pub abandoned: bool,
    /// Where its processes were let out to.
    pub reached: Vec<pb::EgressDecision>,
    /// What they sent and received.
    pub traffic: Option<pb::EgressTotals>,
}

/// A question to a person, and its answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permission {
    /// What an answer names.
    pub request_id: String,
    /// Why it asks.
    pub explanation: String,
    /// The answer.
    pub resolved: Option<pb::PermissionResolved>,
}

/// Where a tool call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolPhase {
    /// Its input is being written.
    Writing,
    /// A person has to answer.
    Waiting,
    /// It runs.
    Running,
    /// It succeeded.
    Done,
    /// It answered with an error.
    Failed,
    /// A person said no.
    Denied,
    /// Its turn ended before it did.
    Abandoned,
}

impl Tool {
    fn open_text(&mut self, kind: BlockKind) -> Option<&mut String> {
        match kind {
            BlockKind::ToolInput if self.input_open => Some(&mut self.input),
            BlockKind::ToolOutput if self.result.is_none() => Some(&mut self.output),
            _ => None,
        }
    }

    fn words(&self) -> String {
        let answer = self.result.iter().flat_map(|result| &result.content);
        let said = answer.filter_map(|block| match &block.kind {
            Some(pb::tool_content::Kind::Text(text)) => Some(text.as_str()),
            _ => None,
        });
        let words = [self.name.as_str(), &self.input, &self.output];
        words.into_iter().chain(said).collect::<Vec<_>>().join("\n")
    }

    /// Where it stands.
    pub fn phase(&self) -> ToolPhase {
        let denied = self
            .permission
            .as_ref()
            .and_then(|permission| permission.resolved.as_ref())
            .is_some_and(|answer| answer.decision() == pb::PermissionDecision::Deny);
        match (&self.result, &self.permission) {
            _ if denied => ToolPhase::Denied,
            (Some(result), _) if result.is_error => ToolPhase::Failed,
            (Some(_), _) => ToolPhase::Done,
            _ if self.abandoned => ToolPhase::Abandoned,
            (None, Some(permission)) if permission.resolved.is_none() => ToolPhase::Waiting,
            _ if self.input_open => ToolPhase::Writing,
            _ => ToolPhase::Running,
        }
    }
}

/// How a turn ended, and what it did.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnSummary {
    /// The event.
    pub ended: pb::TurnEnded,
    /// Files it changed through its tools, by path.
    pub files: Vec<FileTouched>,
    /// The model it was asked of; empty if its start is not here.
    pub model: String,
    /// The provider's name; empty if its start is not here.
    pub provider: String,
}

/// What a turn did to one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileTouched {
    /// Its path as the agent names it.
    pub path: String,
    /// Whether the turn made it.
    pub created: bool,
    /// Lines added over all edits.
    pub added: i32,
    /// Lines removed over all edits.
    pub removed: i32,
}

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Nothing.
    Idle,
    /// Its turn waits for another one.
    Queued,
    /// Its turn runs.
    Running,
    /// Its turn waits for a person.
    Waiting,
}

impl Activity {
    /// The same from a session's row.
    pub fn of(state: pb::SessionState) -> Self {
        match state {
            pb::SessionState::Queued => Self::Queued,
            pb::SessionState::Running => Self::Running,
            pb::SessionState::Waiting => Self::Waiting,
            pb::SessionState::Idle | pb::SessionState::Unspecified => Self::Idle,
        }
    }
}

/// What model requests used: tokens, and a sum of money of which a part may not be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The known part in millionths of a US dollar.
    pub micro_usd: i64,
    /// Number of model requests in it.
    pub requests: i32,
    /// Their tokens of all kinds.
    pub tokens: i64,
    /// Whether a part is not known.
    pub incomplete: bool,
}

impl Cost {
    /// The cost of some usage.
    pub fn of(usage: &pb::Usage) -> Self {
        Self {
            micro_usd: usage.cost_micro_usd.unwrap_or(0),
            requests: usage.requests,
            tokens: usage.input_tokens
                + usage.output_tokens
                + usage.cache_creation_input_tokens
                + usage.cache_read_input_tokens,
            incomplete: usage.cost_micro_usd.is_none() && usage.output_tokens > 0,
        }
    }

    /// The sum of two.
    pub fn plus(self, other: Self) -> Self {
        Self {
            micro_usd: self.micro_usd + other.micro_usd,
            requests: self.requests + other.requests,
            tokens: self.tokens + other.tokens,
            incomplete: self.incomplete || other.incomplete,
        }
    }
}

impl Entry {
    /// An entry for a block that has only deltas yet.
    pub(super) fn open(key: Key, delta: &pb::Delta) -> Self {
        let text = String::new();
        let body = match delta.kind() {
            BlockKind::Thinking => Body::Thinking {
                text,
                open: true,
                duration: None,
            },
            BlockKind::ToolInput | BlockKind::ToolOutput => Body::Tool(Box::new(Tool {
                call_id: delta.block_id.clone(),
                name: delta.tool_name.clone(),
                input_open: true,
                ..Tool::default()
            })),
            BlockKind::Text | BlockKind::Unspecified => Body::Text { text, open: true },
        };
        Self {
            key,
            sequence: 0,
            turn_id: delta.turn_id.clone(),
            time: None,
            nested: false,
            body,
        }
    }
}

impl Body {
    /// What is said in it, for who looks for a word.
    pub fn words(&self) -> String {
        match self {
            Self::User { text, .. } | Self::Text { text, .. } | Self::Thinking { text, .. } => {
                text.clone()
            }
            Self::Tool(tool) => tool.words(),
            Self::Retry(retry) => retry.error.clone().unwrap_or_default().message,
            Self::Refused(decision) => decision.message.clone(),
            Self::Notice(notice) => notice.message.clone(),
            Self::Limit(met) => met.error.clone().unwrap_or_default().message,
            Self::Inside(inside) => inside.model.clone(),
            Self::Queued { .. } | Self::Ended(_) | Self::Unknown { .. } => String::new(),
        }
    }

    /// Whether it is made of deltas alone, so that it can be lost.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Text { open, .. } | Self::Thinking { open, .. } => *open,
            Self::Tool(tool) => tool.input_open,
            _ => false,
        }
    }

    /// The text that deltas of a kind may change; none once it is stored.
    pub(super) fn open_text(&mut self, kind: BlockKind) -> Option<&mut String> {
        match (self, kind) {
            (Self::Text { text, open: true }, BlockKind::Text)
            | (
                Self::Thinking {
                    text, open: true, ..
                },
                BlockKind::Thinking,
            ) => Some(text),
            (Self::Tool(tool), _) => tool.open_text(kind),
            _ => None,
        }
    }
}

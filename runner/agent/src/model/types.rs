//! The Messages API on the wire: what we send and what we understand of what comes back. Unknown
//! events and blocks become `Unknown` and are skipped, so that an addition to the API breaks
//! nothing. Source: <https://docs.claude.com/en/api/messages>.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MessagesRequest {
    /// Model name as the provider spells it.
    pub model: String,
    /// At most so many output tokens, thinking included.
    pub max_tokens: u32,
    /// The conversation: alternating, beginning with a user's message.
    pub messages: Vec<Message>,
    /// The system prompt in blocks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<SystemBlock>,
    /// The tools on offer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Extended thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// How much effort the model makes; only for models that think adaptively.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig>,
    /// Whether the answer is streamed.
    pub stream: bool,
}

/// One block of the system prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "text")]
pub struct SystemBlock {
    /// The text; not empty.
    pub text: String,
    /// Whether the prefix up to here is worth caching.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
}

/// One tool on offer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of its input.
    pub input_schema: Value,
    /// Whether the prefix up to here is worth caching.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
}

/// Extended thinking of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Thinking {
    /// Up to so many tokens; models up to Claude 4.5, and others.
    Enabled {
        /// At least 1,024 and less than `max_tokens`.
        budget_tokens: u32,
    },
    /// As much as the model finds right for the effort; models from Claude 4.6 on.
    Adaptive {
        /// Whether the thinking comes back in words.
        display: ThinkingDisplay,
    },
}

/// Whether thinking comes back in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingDisplay {
    /// As a summary.
    Summarized,
}

/// Options of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OutputConfig {
    /// How much effort.
    pub effort: Effort,
}

/// How much effort a model makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

/// A mark that the prefix up to here is worth caching, for five minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "ephemeral")]
pub struct CacheControl {}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person, and the answers of tools.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What; not empty.
    pub content: Vec<Block>,
}

/// One block of a message.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Text.
    Text {
        /// Not blank.
        text: String,
        /// Whether the prefix up to here is worth caching.
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// An image.
    Image {
        /// Where it comes from.
        source: ImageSource,
    },
    /// Thinking that the model needs back unchanged.
    Thinking {
        /// The words; empty when the provider keeps them to itself.
        thinking: String,
        /// What proves that it is unchanged.
        signature: String,
    },
    /// Thinking in the provider's opaque form.
    RedactedThinking {
        /// As it came.
        data: String,
    },
    /// A tool call.
    ToolUse {
        /// Its id.
        id: String,
        /// The tool's name.
        name: String,
        /// Its input.
        input: Map<String, Value>,
    },
    /// A tool's answer.
    ToolResult {
        /// Id of the call.
        tool_use_id: String,
        /// The answer: text and images.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<ResultBlock>,
        /// Whether it is an error.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        /// Whether the prefix up to here is worth caching.
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
}

/// One block of a tool's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResultBlock {
    /// Text; not blank.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    Image {
        /// Where it comes from.
        source: ImageSource,
    },
}

/// The bytes of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "base64")]
pub struct ImageSource {
    /// For example image/png.
    pub media_type: String,
    /// The bytes in base64.
    pub data: String,
}

impl Block {
    /// A block of text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            cache_control: None,
        }
    }

    /// Marks the prefix up to this block as worth caching, where the API allows such a mark.
    pub fn cache(&mut self) {
        if let Self::Text { cache_control, .. } | Self::ToolResult { cache_control, .. } = self {
            *cache_control = Some(CacheControl {});
        }
    }
}

/// One event of a streamed answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StreamEvent {
    /// The answer begins.
    MessageStart {
        /// What is known at the beginning.
        message: MessageStart,
    },
    /// A block begins.
    ContentBlockStart {
        /// Which.
        index: u32,
        /// Its beginning.
        content_block: BlockStart,
    },
    /// A block grows.
    ContentBlockDelta {
        /// Which.
        index: u32,
        /// By what.
        delta: BlockDelta,
    },
    /// A block is complete.
    ContentBlockStop {
        /// Which.
        index: u32,
    },
    /// The answer is known to end.
    MessageDelta {
        /// Why.
        delta: MessageEnd,
        /// Token counts so far.
        #[serde(default)]
        usage: Option<TokenUsage>,
    },
    /// The answer is complete.
    MessageStop,
    /// The connection is alive.
    Ping,
    /// The answer failed.
    Error {
        /// How.
        error: ErrorBody,
    },
    /// Something newer than this program.
    #[serde(other)]
    Unknown,
}

/// What is known of an answer at its beginning, and in a whole answer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct MessageStart {
    /// The model that answers.
    #[serde(default)]
    pub model: String,
    /// Token counts so far.
    #[serde(default)]
    pub usage: Option<TokenUsage>,
}

/// The beginning of a block.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BlockStart {
    /// Text.
    Text {
        /// Usually empty.
        #[serde(default)]
        text: String,
    },
    /// Thinking.
    Thinking {
        /// Usually empty.
        #[serde(default)]
        thinking: String,
        /// Usually empty.
        #[serde(default)]
        signature: String,
    },
    /// Redacted thinking; it comes whole.
    RedactedThinking {
        /// The provider's opaque form.
        #[serde(default)]
        data: String,
    },
    /// A tool call.
    ToolUse {
        /// Its id.
        #[serde(default)]
        id: String,
        /// The tool's name.
        name: String,
        /// Usually empty; some servers send the whole input here.
        #[serde(default)]
        input: Value,
    },
    /// Something newer than this program.
    #[serde(other)]
    Unknown,
}

/// A piece of a block.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BlockDelta {
    /// Text.
    TextDelta {
        /// The piece.
        text: String,
    },
    /// Thinking.
    ThinkingDelta {
        /// The piece.
        thinking: String,
    },
    /// The signature of thinking.
    SignatureDelta {
        /// The piece.
        signature: String,
    },
    /// Input of a tool call.
    InputJsonDelta {
        /// The piece.
        partial_json: String,
    },
    /// Something newer than this program.
    #[serde(other)]
    Unknown,
}

/// Why an answer ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct MessageEnd {
    /// `end_turn`, `tool_use`, `max_tokens`, `refusal`, `pause_turn`, …
    #[serde(default)]
    pub stop_reason: Option<String>,
}

/// Token counts; those that a server does not send are absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct TokenUsage {
    /// Input that was neither written to nor read from the cache.
    #[serde(default)]
    pub input_tokens: Option<i64>,
    /// Output, thinking included.
    #[serde(default)]
    pub output_tokens: Option<i64>,
    /// Input written to the cache.
    #[serde(default)]
    pub cache_creation_input_tokens: Option<i64>,
    /// Input read from the cache.
    #[serde(default)]
    pub cache_read_input_tokens: Option<i64>,
}

/// An error, in a response of its own or inside a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ErrorBody {
    /// The error type's name.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// The provider's words.
    #[serde(default)]
    pub message: String,
}

impl TokenUsage {
    /// Takes over every count that `newer` has; counts in a stream are cumulative.
    pub fn update(&mut self, newer: Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.cache_creation_input_tokens = newer
            .cache_creation_input_tokens
            .or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = newer
            .cache_read_input_tokens
            .or(self.cache_read_input_tokens);
    }
}

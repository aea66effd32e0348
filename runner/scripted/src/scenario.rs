//! The scenario: what the scripted model answers, as data. It says nothing about how it is sent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Pattern;

/// What to answer. The first step that applies and has plays left answers a request; steps
/// without `when` are therefore played in their order, steps with `when` are rules.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Shown in messages about this scenario.
    pub name: String,
    /// How quickly answers arrive, unless a step says otherwise.
    pub pace: Pace,
    /// Requests estimated to be larger than this many tokens are refused as the API refuses them
    /// (`prompt is too long`). None: no limit.
    pub context_tokens: Option<u64>,
    /// The answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// What answers when no step does.
    pub otherwise: Otherwise,
}

/// What answers when no step applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// An error of status 500 that says so: the scenario is incomplete.
    #[default]
    Error,
    /// The directives in the user's text, such as `!bash ls`.
    Puppet,
    /// The built-in demonstration; directives work in it as well.
    Demo,
}

/// One answer and the requests it answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// Which requests it answers; none: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// How many requests it answers before the steps after it get their turn: 1 unless it has a
    /// `when`, then any number. Two times an error and then an answer is a step with `times: 2`
    /// before another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The content blocks of the answer. Placeholders are filled in: `{{user_text}}`,
    /// `{{last_tool_result}}`, and the captures of `when`'s expressions as `{{1}}`, `{{name}}`.
    /// Where the request enables thinking, a call of a tool always begins with some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<Block>,
    /// Why the answer ends: `tool_use` if it calls a tool, else `end_turn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,
    /// The stop sequence that was met, with [`StopReason::StopSequence`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_sequence: Option<String>,
    /// Tokens to report; what is not given is estimated.
    pub usage: TokenUsage,
    /// Answer with this error instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReply>,
    /// Break the answer in this way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// How quickly this answer arrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
}

/// Which requests a step answers: those for which everything given holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// The last text a person wrote matches. Without `tool_result` or `round`, only the request
    /// that brings this text is meant, not those that follow with results of tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_text: Option<Pattern>,
    /// The last tool result since that text matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_result: Option<Pattern>,
    /// How many rounds of tool calls there were since that text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<usize>,
    /// The name of the model matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Pattern>,
    /// The request offers this tool; `""` stands for any tool at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offers_tool: Option<String>,
    /// The n-th request since the scenario was loaded, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
}

/// A content block of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Block {
    /// Text in Markdown.
    Text {
        /// The text.
        text: String,
    },
    /// The model's thinking.
    Thinking {
        /// The thinking.
        thinking: String,
        /// What proves it unchanged; made up and later checked when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// Thinking that only the API can read.
    RedactedThinking {
        /// Opaque data.
        data: String,
    },
    /// A call of a tool.
    ToolUse {
        /// Id of the call; a random one when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The tool's name.
        name: String,
        /// Its input, a JSON object.
        input: Value,
    },
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the API's")]
pub enum StopReason {
    EndTurn,
    MaxTokens,
    StopSequence,
    ToolUse,
    PauseTurn,
    Refusal,
    ModelContextWindowExceeded,
}

/// Tokens to report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenUsage {
    /// Tokens of the request that neither came from nor went to the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Tokens written to the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_creation_input_tokens: Option<u64>,
    /// Tokens read from the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_input_tokens: Option<u64>,
}

/// An error as the API reports it, instead of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorReply {
    /// HTTP status.
    pub status: u16,
    /// The error's type; derived from the status when not given.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The message; a usual one when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Seconds in the `retry-after` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Other response headers.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub headers: std::collections::BTreeMap<String, String>,
}

/// How an answer breaks. `after` counts the events that are still sent as they should be; when
/// it is larger than the answer, the fault comes at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The connection is dropped.
    Cut {
        /// Events before it.
        after: usize,
    },
    /// The body ends early but orderly, as some proxies end it.
    End {
        /// Events before it.
        after: usize,
    },
    /// The next event's data is broken JSON.
    Malformed {
        /// Events before it.
        after: usize,
    },
    /// An `error` event, after which the body ends.
    Error {
        /// Events before it.
        after: usize,
        /// The error; only its type and message are sent.
        error: ErrorReply,
    },
    /// Nothing more arrives, and the connection stays open until the client or the server ends it.
    Stall {
        /// Events before it.
        after: usize,
    },
}

/// How quickly an answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// Milliseconds before the head of the response.
    pub head_ms: u64,
    /// Milliseconds before each content block.
    pub block_ms: u64,
    /// Milliseconds before each piece of a block.
    pub chunk_ms: u64,
    /// Characters in a piece of text, thinking or tool input; at least 1.
    pub chunk_chars: usize,
}

impl Default for Pace {
    /// No delays, small pieces.
    fn default() -> Self {
        Self {
            head_ms: 0,
            block_ms: 0,
            chunk_ms: 0,
            chunk_chars: 16,
        }
    }
}

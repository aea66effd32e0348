//! From stream events to whole blocks: a pure state machine that any transport can feed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    ModelError, ModelErrorReason,
    types::{BlockDelta, BlockStart, MessageEnd, MessageStart, StreamEvent, TokenUsage},
};

/// What an event meant for the answer that is being put together.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing to show.
    Nothing,
    /// A block began. `text` is what it began with, usually empty.
    Opened {
        /// Which.
        index: u32,
        /// The block so far.
        block: BlockDone,
    },
    /// A block grew by this text; for tool calls, partial JSON.
    Grew {
        /// Which.
        index: u32,
        /// The next piece.
        text: String,
    },
    /// A block is complete.
    Closed {
        /// Which.
        index: u32,
        /// The whole of it.
        block: BlockDone,
    },
}

/// A block as far as it has come.
#[derive(Debug, Clone, PartialEq)]
pub enum BlockDone {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// Thinking.
    Thinking {
        /// The words.
        text: String,
        /// The signature; empty until the end.
        signature: String,
    },
    /// Redacted thinking.
    Redacted {
        /// The provider's opaque form.
        data: String,
    },
    /// A tool call.
    ToolUse {
        /// Its id as the model gave it.
        id: String,
        /// The tool's name.
        name: String,
        /// Its input as JSON text, not checked.
        input_json: String,
    },
}

/// An answer that is not streamed.
#[derive(Deserialize)]
struct WholeMessage {
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    start: MessageStart,
    #[serde(flatten)]
    end: MessageEnd,
}

/// Puts an answer together.
#[derive(Debug, Default)]
pub struct Assembler {
    open: BTreeMap<u32, BlockDone>,
    /// The model that answers; empty until the answer begins.
    pub model: String,
    /// Token counts so far.
    pub usage: TokenUsage,
    /// Why the answer ends; none until that is known.
    pub stop_reason: Option<String>,
    /// Whether the answer has begun, so that its tokens count.
    pub begun: bool,
    /// Bytes of output so far: words, thinking and input of calls.
    pub output_bytes: usize,
}

impl Assembler {
    /// What a whole answer says of itself, without its blocks; none if it is no message.
    #[must_use]
    pub fn of_message(json: &[u8]) -> Option<Self> {
        let message: WholeMessage = serde_json::from_slice(json).ok()?;
        if message.kind != "message" {
            return None;
        }
        Some(Self {
            model: message.start.model,
            usage: message.start.usage.unwrap_or_default(),
            stop_reason: message.end.stop_reason,
            begun: true,
            output_bytes: json.len(),
            ..Self::default()
        })
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// `MODEL_MALFORMED` for a block that begins twice or grows by what does not belong to it.
    pub fn apply(&mut self, event: StreamEvent) -> Result<Step, ModelError> {
        match event {
            StreamEvent::MessageStart { message } => {
                self.begun = true;
                self.model = message.model;
                self.usage.update(message.usage.unwrap_or_default());
                Ok(Step::Nothing)
            }
            StreamEvent::ContentBlockStart {
                index,
                content_block,
            } => self.start(index, content_block),
            StreamEvent::ContentBlockDelta { index, delta } => self.grow(index, delta),
            StreamEvent::ContentBlockStop { index } => Ok(self.stop(index)),
            StreamEvent::MessageDelta { delta, usage } => {
                self.stop_reason = delta.stop_reason.or(self.stop_reason.take());
                self.usage.update(usage.unwrap_or_default());
                Ok(Step::Nothing)
            }
            StreamEvent::MessageStop
            | StreamEvent::Ping
            | StreamEvent::Error { .. }
            | StreamEvent::Unknown => Ok(Step::Nothing),
        }
    }

    /// Blocks that have begun and not ended, in order: what an interrupted answer leaves.
    pub fn take_open(&mut self) -> impl Iterator<Item = (u32, BlockDone)> + use<> {
        std::mem::take(&mut self.open).into_iter()
    }

    fn start(&mut self, index: u32, start: BlockStart) -> Result<Step, ModelError> {
        let Some(block) = begin(start) else {
            return Ok(Step::Nothing);
        };
        if self.open.insert(index, block.clone()).is_some() {
            return Err(ModelError::new(ModelErrorReason::Malformed));
        }
        Ok(Step::Opened { index, block })
    }

    fn grow(&mut self, index: u32, delta: BlockDelta) -> Result<Step, ModelError> {
        // A block of an unknown kind was not opened; its pieces are skipped with it.
        let Some(block) = self.open.get_mut(&index) else {
            return Ok(Step::Nothing);
        };
        let text = match (block, delta) {
            (BlockDone::Text { text }, BlockDelta::TextDelta { text: piece })
            | (BlockDone::Thinking { text, .. }, BlockDelta::ThinkingDelta { thinking: piece })
            | (
                BlockDone::ToolUse {
                    input_json: text, ..
                },
                BlockDelta::InputJsonDelta {
                    partial_json: piece,
                },
            ) => {
                text.push_str(&piece);
                piece
            }
            (
                BlockDone::Thinking { signature, .. },
                BlockDelta::SignatureDelta { signature: piece },
            ) => {
                signature.push_str(&piece);
                return Ok(Step::Nothing);
            }
            (_, BlockDelta::Unknown) => return Ok(Step::Nothing),
            _ => return Err(ModelError::new(ModelErrorReason::Malformed)),
        };
        self.output_bytes += text.len();
        Ok(Step::Grew { index, text })
    }

    fn stop(&mut self, index: u32) -> Step {
        match self.open.remove(&index) {
            Some(block) => Step::Closed { index, block },
            None => Step::Nothing,
        }
    }
}

/// The first form of a block; none for a kind that is not known.
fn begin(start: BlockStart) -> Option<BlockDone> {
    Some(match start {
        BlockStart::Text { text } => BlockDone::Text { text },
        BlockStart::Thinking {
            thinking,
            signature,
        } => BlockDone::Thinking {
            text: thinking,
            signature,
        },
        BlockStart::RedactedThinking { data } => BlockDone::Redacted { data },
        BlockStart::ToolUse { id, name, input } => BlockDone::ToolUse {
            id,
            name,
            input_json: whole_input(&input),
        },
        BlockStart::Unknown => return None,
    })
}

/// Servers that do not stream a call's input send it whole at the block's start.
fn whole_input(input: &Value) -> String {
    match input {
        Value::Object(fields) if !fields.is_empty() => input.to_string(),
        _ => String::new(),
    }
}

//! An answer in the API's own words: a message for clients that wait, events for those that
//! stream. It decides nothing.

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::ApiError;
use crate::scenario::{Block, Fault, Step, StopReason};
use crate::usage::Tokens;

/// A message to send.
#[derive(Debug)]
pub(crate) struct Message {
    id: String,
    model: String,
    content: Vec<Block>,
    stop_reason: StopReason,
    stop_sequence: Option<String>,
    tokens: Tokens,
}

/// A piece of a streamed response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Send this after a pause.
    Event { pause: Pause, bytes: Bytes },
    /// Drop the connection.
    Cut,
    /// Send nothing more, and keep the connection.
    Stall,
}

/// Which of the pace's delays comes before an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    None,
    Block,
    Chunk,
}

/// A random id with a prefix, in the length the API's ids have.
pub(crate) fn id(prefix: &str) -> String {
    let random = Uuid::new_v4().simple().to_string();
    format!("{prefix}_01{}", &random[..22])
}

/// A signature that [`is_signature`] can tell from one for other thinking.
pub(crate) fn sign(thinking: &str) -> String {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = thinking.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    format!("{SIGNED}{hash:016x}")
}

/// Whether this may be a signature of that thinking. Those that a scenario made up can't be
/// checked and are believed.
pub(crate) fn is_signature(signature: &str, thinking: &str) -> bool {
    !signature.starts_with(SIGNED) || signature == sign(thinking)
}

const SIGNED: &str = "scripted-";

impl Message {
    /// The message that a step says, for this request.
    pub(crate) fn new(request: &Value, step: &Step) -> Self {
        let content: Vec<Block> = think_first(request, &step.content)
            .into_iter()
            .chain(step.content.clone())
            .map(complete)
            .collect();
        let answer: Vec<Value> = content.iter().map(block_json).collect();
        let calls = content.iter().any(|b| matches!(b, Block::ToolUse { .. }));
        let usual = if calls {
            StopReason::ToolUse
        } else {
            StopReason::EndTurn
        };
        Self {
            id: id("msg"),
            model: request["model"].as_str().unwrap_or_default().to_owned(),
            tokens: Tokens::of(request, &Value::Array(answer), step.usage),
            content,
            stop_reason: step.stop_reason.unwrap_or(usual),
            stop_sequence: step.stop_sequence.clone(),
        }
    }

    /// The body for a client that does not stream.
    pub(crate) fn json(&self) -> Value {
        let mut message = self.empty();
        message["content"] = self.content.iter().map(block_json).collect();
        message["stop_reason"] = json!(self.stop_reason);
        message["stop_sequence"] = json!(self.stop_sequence);
        message["usage"] = self.tokens.message(None);
        message
    }

    /// The events for a client that streams.
    pub(crate) fn events(&self, chunk_chars: usize) -> Vec<Piece> {
        let mut events = vec![event(
            Pause::None,
            json!({"type": "message_start", "message": self.empty()}),
        )];
        for (index, block) in self.content.iter().enumerate() {
            events.extend(block_events(index, block, chunk_chars));
        }
        // The API sends one after the head of the first block.
        events.insert(
            events.len().min(2),
            event(Pause::None, json!({"type": "ping"})),
        );
        let delta = json!({
            "stop_reason": self.stop_reason,
            "stop_sequence": self.stop_sequence,
        });
        let usage = self.tokens.delta();
        let delta = json!({"type": "message_delta", "delta": delta, "usage": usage});
        events.push(event(Pause::None, delta));
        events.push(event(Pause::None, json!({"type": "message_stop"})));
        events
    }

    fn empty(&self) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": self.tokens.message(Some(1)),
        })
    }
}

/// Breaks a stream of events.
pub(crate) fn break_events(events: &mut Vec<Piece>, fault: &Fault, request_id: &str) {
    let (after, end) = match fault {
        Fault::Cut { after } => (after, Some(Piece::Cut)),
        Fault::Stall { after } => (after, Some(Piece::Stall)),
        Fault::End { after } => (after, None),
        Fault::Malformed { after } => {
            if let Some(Piece::Event { bytes, .. }) = events.get_mut(*after) {
                // The frame is complete and its JSON is not.
                let half = bytes.slice(..bytes.len() / 2 + 10);
                *bytes = [&half, &b"\n\n"[..]].concat().into();
            }
            return;
        }
        Fault::Error { after, error } => {
            let data = ApiError::from(error.clone()).body(request_id);
            (after, Some(event(Pause::Chunk, data)))
        }
    };
    events.truncate(*after);
    events.extend(end);
}

/// The body for a client that does not stream. A fault breaks it in the middle, wherever in a
/// stream it would have come.
pub(crate) fn whole(message: &Message, fault: Option<&Fault>, request_id: &str) -> Vec<Piece> {
    let bytes = Bytes::from(message.json().to_string());
    let half = || raw(bytes.slice(..bytes.len() / 2));
    match fault {
        None => vec![raw(bytes)],
        Some(Fault::Cut { .. }) => vec![half(), Piece::Cut],
        Some(Fault::Stall { .. }) => vec![half(), Piece::Stall],
        Some(Fault::End { .. } | Fault::Malformed { .. }) => vec![half()],
        Some(Fault::Error { error, .. }) => {
            let body = ApiError::from(error.clone()).body(request_id);
            vec![raw(body.to_string().into())]
        }
    }
}

/// A thinking block to begin with, where the request enables thinking and the scenario has none:
/// the API takes no tool results for an answer that began otherwise.
fn think_first(request: &Value, content: &[Block]) -> Option<Block> {
    let enabled = request["thinking"]["type"] == "enabled";
    let calls = content.iter().any(|b| matches!(b, Block::ToolUse { .. }));
    let thinks = matches!(
        content.first(),
        Some(Block::Thinking { .. } | Block::RedactedThinking { .. })
    );
    (enabled && calls && !thinks).then(|| Block::thinking("This needs a tool."))
}

/// Adds what the scenario leaves to us.
fn complete(mut block: Block) -> Block {
    match &mut block {
        Block::Thinking {
            thinking,
            signature,
        } => {
            signature.get_or_insert_with(|| sign(thinking));
        }
        Block::ToolUse { id: call, .. } => {
            call.get_or_insert_with(|| id("toolu"));
        }
        Block::Text { .. } | Block::RedactedThinking { .. } => {}
    }
    block
}

fn block_json(block: &Block) -> Value {
    // A block's own serialisation is the API's.
    serde_json::to_value(block).unwrap_or_default()
}

fn block_events(index: usize, block: &Block, chunk_chars: usize) -> Vec<Piece> {
    let start = json!({
        "type": "content_block_start",
        "index": index,
        "content_block": block_head(block),
    });
    let mut events = vec![event(Pause::Block, start)];
    for delta in block_deltas(block, chunk_chars) {
        let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.push(event(Pause::Chunk, delta));
    }
    let stop = json!({"type": "content_block_stop", "index": index});
    events.push(event(Pause::None, stop));
    events
}

fn block_head(block: &Block) -> Value {
    match block {
        Block::Text { .. } => json!({"type": "text", "text": ""}),
        Block::Thinking { .. } => json!({"type": "thinking", "thinking": "", "signature": ""}),
        Block::RedactedThinking { .. } => block_json(block),
        Block::ToolUse { id, name, .. } => {
            json!({"type": "tool_use", "id": id, "name": name, "input": {}})
        }
    }
}

fn block_deltas(block: &Block, chars: usize) -> Vec<Value> {
    match block {
        Block::Text { text } => pieces(text, chars)
            .map(|text| json!({"type": "text_delta", "text": text}))
            .collect(),
        Block::Thinking {
            thinking,
            signature,
        } => pieces(thinking, chars)
            .map(|thinking| json!({"type": "thinking_delta", "thinking": thinking}))
            .chain([json!({"type": "signature_delta", "signature": signature})])
            .collect(),
        Block::RedactedThinking { .. } => Vec::new(),
        Block::ToolUse { input, .. } => input_deltas(input, chars),
    }
}

/// The API begins with an empty piece.
fn input_deltas(input: &Value, chars: usize) -> Vec<Value> {
    let json = input.to_string();
    let pieces = std::iter::once("").chain(pieces(&json, chars));
    pieces
        .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}))
        .collect()
}

/// Cuts a text into pieces of so many characters; the last may be shorter.
fn pieces(text: &str, chars: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.char_indices().nth(chars.max(1));
        let (piece, tail) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        rest = tail;
        Some(piece)
    })
}

fn raw(bytes: Bytes) -> Piece {
    let pause = Pause::None;
    Piece::Event { pause, bytes }
}

fn event(pause: Pause, data: Value) -> Piece {
    let name = data["type"].as_str().unwrap_or_default();
    let bytes = format!("event: {name}\ndata: {data}\n\n").into();
    Piece::Event { pause, bytes }
}

#[cfg(test)]
mod tests;

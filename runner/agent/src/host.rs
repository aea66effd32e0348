//! The one bounded channel between an engine and whoever runs it: events to store, deltas to show,
//! permissions to ask for. A live session and a leased run are two receivers of it.
//!
//! It is also where secrets are masked: whatever an engine says passes here. What it gets back is
//! what was stored, so a model is told no more of a secret than a person.

use membrane_proto::v1::{BlockKind, Delta, EventPayload, PermissionDecision, event_payload::Kind};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::redact::{Redactor, Stream};
use blocks::Blocks;

mod blocks;

/// The host dropped its end: nothing more can be stored, so the engine must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the host of this turn is gone")]
pub struct HostGone;

/// What an engine asks of its host.
#[derive(Debug)]
pub enum HostRequest {
    /// Store this event; `done` is answered once it is durable.
    Append {
        /// What happened.
        payload: EventPayload,
        /// Answered when the event is stored; dropped when it can't be.
        done: oneshot::Sender<()>,
    },
    /// Show this piece of a block. `stream` and `turn_id` are empty; the host fills them in.
    Delta(Delta),
    /// Ask a person. Dropping `answer` means that nobody will answer any more.
    AskPermission {
        /// What is asked.
        ask: PermissionAsk,
        /// Where the answer goes.
        answer: oneshot::Sender<PermissionAnswer>,
    },
}

/// A tool call that needs a person's answer. The host stores the request and its resolution as
/// events.
#[derive(Debug, Clone)]
pub struct PermissionAsk {
    /// Id of the call.
    pub tool_call_id: String,
    /// The tool's name.
    pub tool_name: String,
    /// Its input as a JSON object.
    pub input_json: String,
    /// Why it asks, in a sentence.
    pub explanation: String,
}

/// A person's answer.
#[derive(Debug, Clone)]
pub struct PermissionAnswer {
    /// Allow or deny.
    pub decision: PermissionDecision,
    /// What the agent is told when it was denied; may be empty.
    pub reason: String,
}

/// The engine's end of the channel. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Host {
    requests: mpsc::Sender<HostRequest>,
    redactor: Redactor,
    blocks: Blocks,
}

impl Host {
    /// A host handle and the end that serves it, with room for `capacity` requests.
    #[must_use]
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<HostRequest>) {
        let (requests, served) = mpsc::channel(capacity);
        let host = Self {
            requests,
            redactor: Redactor::default(),
            blocks: Blocks::default(),
        };
        (host, served)
    }

    /// The same, with secrets masked from now on. To be called before anything is said.
    #[must_use]
    pub fn masked_by(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    /// Masks what comes in pieces, before it is cut or counted.
    #[must_use]
    pub fn masking(&self) -> Stream {
        self.redactor.stream()
    }

    /// Stores an event, masked, and returns it as it was stored when it is durable. What was held
    /// back of the block that it closes is shown before.
    ///
    /// # Errors
    /// [`HostGone`] if it could not be stored.
    pub async fn append(&self, kind: Kind) -> Result<Kind, HostGone> {
        let kind = self.redactor.mask_kind(kind);
        if let Some((block_id, block)) = closed_block(&kind)
            && let Some(rest) = self.blocks.close(block_id, block)
        {
            self.send(HostRequest::Delta(rest)).await?;
        }
        let (done, stored) = oneshot::channel();
        let payload = EventPayload {
            kind: Some(kind.clone()),
            ..EventPayload::default()
        };
        self.send(HostRequest::Append { payload, done }).await?;
        stored.await.map_err(|_| HostGone)?;
        Ok(kind)
    }

    /// Shows a piece of a block, masked. What may be the beginning of a secret waits for the next
    /// one, so offsets are those of the masked text.
    ///
    /// # Errors
    /// [`HostGone`] if nobody listens any more.
    pub async fn delta(&self, delta: Delta) -> Result<(), HostGone> {
        match self.blocks.mask(delta, &self.redactor) {
            Some(masked) => self.send(HostRequest::Delta(masked)).await,
            None => Ok(()),
        }
    }

    /// Asks a person and waits for the answer, however long it takes.
    ///
    /// # Errors
    /// [`HostGone`] if nobody will answer any more.
    pub async fn ask(&self, mut ask: PermissionAsk) -> Result<PermissionAnswer, HostGone> {
        self.redactor.mask_json(&mut ask.input_json);
        let (answer, answered) = oneshot::channel();
        self.send(HostRequest::AskPermission { ask, answer })
            .await?;
        answered.await.map_err(|_| HostGone)
    }

    /// Returns when nobody listens any more.
    pub async fn gone(&self) {
        self.requests.closed().await;
    }

    /// Whether nobody listens any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.requests.is_closed()
    }

    async fn send(&self, request: HostRequest) -> Result<(), HostGone> {
        self.requests.send(request).await.map_err(|_| HostGone)
    }
}

/// The block that an event of this kind is the stored form of.
#[must_use]
pub fn closed_block(kind: &Kind) -> Option<(&str, BlockKind)> {
    match kind {
        Kind::AgentText(text) => Some((&text.block_id, BlockKind::Text)),
        Kind::AgentThinking(thinking) => Some((&thinking.block_id, BlockKind::Thinking)),
        Kind::ToolCall(call) => Some((&call.tool_call_id, BlockKind::ToolInput)),
        Kind::ToolResult(result) => Some((&result.tool_call_id, BlockKind::ToolOutput)),
        _ => None,
    }
}

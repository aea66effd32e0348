//! What a running tool shows before it is done: bounded deltas of its output.

use std::sync::{Arc, Mutex, PoisonError};

use membrane_proto::v1::{BlockKind, Delta};

use crate::host::Host;

/// At most so many bytes of one call's output are streamed; the result has its own bound.
const STREAMED_BYTES_MAX: usize = 256 * 1024;

/// Where a running tool shows its output. Cheap to clone; clones share one offset.
#[derive(Debug, Clone)]
pub struct OutputSink {
    target: Option<(Host, String)>,
    offset: Arc<Mutex<usize>>,
}

impl OutputSink {
    /// Shows output as deltas of the block that belongs to a tool call.
    #[must_use]
    pub fn new(host: Host, tool_call_id: impl Into<String>) -> Self {
        Self {
            target: Some((host, tool_call_id.into())),
            offset: Arc::default(),
        }
    }

    /// Shows nothing.
    #[must_use]
    pub fn discard() -> Self {
        Self {
            target: None,
            offset: Arc::default(),
        }
    }

    /// Shows the next piece. After 256 KiB of one call the rest is left out. A host that is gone is
    /// not an error here: the engine notices when it appends the result.
    pub async fn write(&self, text: &str) {
        let Some((host, tool_call_id)) = &self.target else {
            return;
        };
        let Some((offset, text)) = self.reserve(text) else {
            return;
        };
        let delta = Delta {
            block_id: tool_call_id.clone(),
            kind: BlockKind::ToolOutput.into(),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            text: text.to_owned(),
            ..Delta::default()
        };
        let _ = host.delta(delta).await;
    }

    /// Takes the next piece's place in the block, cut to what may still be streamed.
    fn reserve<'text>(&self, text: &'text str) -> Option<(usize, &'text str)> {
        let mut end = self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        let room = STREAMED_BYTES_MAX.saturating_sub(*end).min(text.len());
        let piece = &text[..text.floor_char_boundary(room)];
        if piece.is_empty() {
            *end = STREAMED_BYTES_MAX.max(*end);
            return None;
        }
        let offset = *end;
        *end += piece.len();
        Some((offset, piece))
    }
}

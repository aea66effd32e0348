//! What a running tool shows before it is done: bounded deltas of its output.

use std::sync::{Arc, Mutex, PoisonError};

use membrane_proto::v1::{BlockKind, Delta};

use crate::{
    host::Host,
    redact::{Redactor, Stream},
};

/// At most so many bytes of one call's output are streamed; the result has its own bound.
const STREAMED_BYTES_MAX: usize = 256 * 1024;

/// Where a running tool shows its output. Cheap to clone; clones share one offset.
#[derive(Debug, Clone)]
pub struct OutputSink {
    target: Option<(Host, String)>,
    streamed: Arc<Mutex<Streamed>>,
}

/// How far the stream is.
#[derive(Debug, Default)]
struct Streamed {
    bytes: usize,
    full: bool,
}

impl OutputSink {
    /// Shows output as deltas of the block that belongs to a tool call.
    #[must_use]
    pub fn new(host: Host, tool_call_id: impl Into<String>) -> Self {
        Self {
            target: Some((host, tool_call_id.into())),
            streamed: Arc::default(),
        }
    }

    /// Shows nothing.
    #[must_use]
    pub fn discard() -> Self {
        Self {
            target: None,
            streamed: Arc::default(),
        }
    }

    /// What masks secrets in the output before it is kept, counted or cut.
    #[must_use]
    pub fn masking(&self) -> Stream {
        match &self.target {
            Some((host, _)) => host.masking(),
            None => Redactor::default().stream(),
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

    /// Takes the next piece's place in the block, cut to what may still be streamed. After a cut
    /// nothing follows: there would be a gap.
    fn reserve<'text>(&self, text: &'text str) -> Option<(usize, &'text str)> {
        let mut streamed = self.streamed.lock().unwrap_or_else(PoisonError::into_inner);
        if streamed.full {
            return None;
        }
        let room = (STREAMED_BYTES_MAX - streamed.bytes).min(text.len());
        let piece = &text[..text.floor_char_boundary(room)];
        let offset = streamed.bytes;
        streamed.bytes += piece.len();
        streamed.full = piece.len() < text.len();
        (!piece.is_empty()).then_some((offset, piece))
    }
}

/// Makes text of bytes that arrive in pieces: a character that is cut by the end of a piece waits
/// for the next one.
#[derive(Debug, Default)]
pub(super) struct Utf8Pieces {
    cut: Vec<u8>,
}

impl Utf8Pieces {
    /// The text of the next piece.
    pub(super) fn next(&mut self, piece: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.cut);
        bytes.extend_from_slice(piece);
        let last = bytes.utf8_chunks().last();
        let invalid = last.map_or(&[][..], |chunk| chunk.invalid());
        if is_beginning(invalid) {
            self.cut = invalid.to_vec();
        }
        bytes.truncate(bytes.len() - self.cut.len());
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Whether more bytes could make a character of these.
fn is_beginning(bytes: &[u8]) -> bool {
    let error = std::str::from_utf8(bytes).err();
    error.is_some_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::{OutputSink, STREAMED_BYTES_MAX, Utf8Pieces};

    #[test]
    fn a_character_cut_anywhere_is_put_together_again() {
        let text = "aé€😀z".as_bytes();
        for at in 0..=text.len() {
            let mut pieces = Utf8Pieces::default();
            let joined = pieces.next(&text[..at]) + &pieces.next(&text[at..]);
            assert_eq!(joined, "aé€😀z", "cut at {at}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_hold_up_the_rest() {
        let mut pieces = Utf8Pieces::default();
        assert_eq!(pieces.next(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(pieces.next(b"\xe2\x82"), "");
        assert_eq!(pieces.next(b"x"), "\u{fffd}x");
    }

    #[test]
    fn the_stream_ends_at_its_bound_and_leaves_no_gap() {
        let sink = OutputSink::discard();
        let almost = "x".repeat(STREAMED_BYTES_MAX - 1);
        assert_eq!(sink.reserve(&almost).map(|(offset, _)| offset), Some(0));
        assert_eq!(sink.reserve(""), None);
        assert_eq!(sink.reserve("é"), None);
        assert_eq!(sink.reserve("y"), None);
    }
}

//! Masking of text that comes in pieces, however it is cut.

use super::{MASK, Redactor, patterns::Found};

/// Masks a stream. It holds back only what may be the beginning of a secret, which is less than the
/// longest form of one.
#[derive(Debug)]
pub struct Stream {
    redactor: Redactor,
    held: Vec<u8>,
    /// So many bytes at the beginning of `held` belong to something whose mask has gone out.
    masked: usize,
}

impl Stream {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            held: Vec::new(),
            masked: 0,
        }
    }

    /// Takes the next piece, and answers what can be shown by now.
    pub fn push(&mut self, piece: &str) -> String {
        text(self.push_bytes(piece.as_bytes()))
    }

    /// Ends the stream, and answers what was held back.
    pub fn finish(&mut self) -> String {
        text(self.finish_bytes())
    }

    /// Takes the next piece, and answers what can be shown by now.
    pub fn push_bytes(&mut self, piece: &[u8]) -> Vec<u8> {
        let Some(patterns) = self.redactor.patterns() else {
            let mut all = self.finish_bytes();
            all.extend_from_slice(piece);
            return all;
        };
        self.held.extend_from_slice(piece);
        let found = patterns.search(&self.held, self.masked);
        self.release(found)
    }

    /// Ends the stream, and answers what was held back.
    pub fn finish_bytes(&mut self) -> Vec<u8> {
        let all = self.held.len();
        let mut found = match self.redactor.patterns() {
            Some(patterns) => patterns.search(&self.held, self.masked),
            None => Found::masked(self.masked),
        };
        found.settled = all;
        self.release(found)
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Everything before what may still become something else, masked. A mask goes out where
    /// something begins, and stands for whatever overlaps it later.
    fn release(&mut self, found: Found) -> Vec<u8> {
        let settled = found.settled;
        let mut shown = Vec::new();
        let mut from = 0;
        for range in found.ranges {
            let is_out = self.masked > 0 && range.start == 0;
            if range.start >= settled && !is_out {
                break;
            }
            shown.extend_from_slice(&self.held[from..range.start]);
            if !is_out {
                shown.extend_from_slice(MASK.as_bytes());
            }
            from = range.end;
        }
        if from < settled {
            shown.extend_from_slice(&self.held[from..settled]);
        }
        self.masked = from.saturating_sub(settled);
        self.held.drain(..settled);
        shown
    }
}

/// Forms begin and end with whole characters, so no character of a text is cut.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

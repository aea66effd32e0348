//! Text without its line breaks, and where each byte of it was.

use std::borrow::Cow;

use super::forms::is_break;

/// What is left of a text.
pub(super) struct Unbroken<'text> {
    /// The bytes that are left.
    pub bytes: Cow<'text, [u8]>,
    /// For each break, how many bytes are left before it.
    breaks: Vec<usize>,
}

impl<'text> Unbroken<'text> {
    /// Takes the breaks out.
    pub fn of(text: &'text [u8]) -> Self {
        let Some(first) = text.iter().position(|byte| is_break(*byte)) else {
            return Self {
                bytes: Cow::Borrowed(text),
                breaks: Vec::new(),
            };
        };
        let mut bytes = Vec::with_capacity(text.len());
        bytes.extend_from_slice(&text[..first]);
        let mut breaks = vec![first];
        let mut lines = text[first + 1..].split(|byte| is_break(*byte)).peekable();
        while let Some(line) = lines.next() {
            bytes.extend_from_slice(line);
            if lines.peek().is_some() {
                breaks.push(bytes.len());
            }
        }
        Self {
            bytes: Cow::Owned(bytes),
            breaks,
        }
    }

    /// Where a byte was in the text.
    pub fn place(&self, index: usize) -> usize {
        index + self.breaks.partition_point(|left| *left <= index)
    }
}

//! The blocks that are being shown, masked as they grow.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use membrane_proto::v1::{BlockKind, Delta};

use crate::redact::{Redactor, Stream};

/// Blocks that are open, by their id and kind. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    open: Arc<Mutex<HashMap<(String, i32), Block>>>,
}

#[derive(Debug)]
struct Block {
    stream: Stream,
    /// The last delta that went out, as the form of the next one; its text is not kept.
    form: Delta,
    /// Where the next piece of the engine's begins.
    next: i64,
}

impl Blocks {
    /// The delta as it may be shown; `None` when all of it has to wait. A piece that does not follow
    /// the one before begins its block anew.
    pub(super) fn mask(&self, delta: Delta, redactor: &Redactor) -> Option<Delta> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (delta.block_id.clone(), delta.kind);
        let block = open
            .entry(key)
            .and_modify(|block| {
                if block.next != delta.offset {
                    *block = Block::new(&delta, redactor);
                }
            })
            .or_insert_with(|| Block::new(&delta, redactor));
        block.next += length(&delta.text);
        let shown = block.stream.push(&delta.text);
        // A piece without text tells that the block has begun.
        if shown.is_empty() && !delta.text.is_empty() {
            return None;
        }
        Some(block.show(shown))
    }

    /// Ends a block, and answers what was held back of it.
    pub(super) fn close(&self, block_id: &str, kind: BlockKind) -> Option<Delta> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut block = open.remove(&(block_id.to_owned(), kind.into()))?;
        let rest = block.stream.finish();
        (!rest.is_empty()).then(|| block.show(rest))
    }
}

impl Block {
    fn new(first: &Delta, redactor: &Redactor) -> Self {
        Self {
            stream: redactor.stream(),
            form: Delta {
                text: String::new(),
                ..first.clone()
            },
            next: first.offset,
        }
    }

    fn show(&mut self, text: String) -> Delta {
        let shown = Delta {
            text,
            ..self.form.clone()
        };
        self.form.offset += length(&shown.text);
        shown
    }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::redact::MASK;

    const SECRET: &str = "canary-5b1c";

    fn delta(offset: usize, text: &str) -> Delta {
        Delta {
            block_id: "b".to_owned(),
            kind: BlockKind::Text.into(),
            offset: i64::try_from(offset).expect("small"),
            text: text.to_owned(),
            ..Delta::default()
        }
    }

    /// What somebody holds of a block who applies each delta.
    fn apply(held: &mut String, delta: &Delta) {
        let offset = usize::try_from(delta.offset).expect("not negative");
        assert_eq!(offset, held.len(), "no gap and nothing twice");
        held.push_str(&delta.text);
    }

    #[test]
    fn every_split_comes_to_the_masked_text_with_offsets_that_fit() {
        let redactor = Redactor::default();
        let _known = redactor.know(&SecretString::from(SECRET));
        let text = format!("it is {SECRET}, and {SECRET}.");
        let whole = redactor.mask(&text).into_owned();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let blocks = Blocks::default();
                let mut held = String::new();
                for (from, to) in [(0, first), (first, second), (second, text.len())] {
                    let shown = blocks.mask(delta(from, &text[from..to]), &redactor);
                    shown.iter().for_each(|shown| apply(&mut held, shown));
                    assert!(whole.starts_with(&held), "{held} at {first} and {second}");
                }
                let rest = blocks.close("b", BlockKind::Text);
                rest.iter().for_each(|rest| apply(&mut held, rest));
                assert_eq!(held, whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_block_that_begins_anew_forgets_what_was_held_back() {
        let redactor = Redactor::default();
        let _known = redactor.know(&SecretString::from(SECRET));
        let blocks = Blocks::default();
        assert!(blocks.mask(delta(0, "canary"), &redactor).is_none());
        let anew = blocks.mask(delta(0, "again "), &redactor).expect("shown");
        assert_eq!((anew.offset, anew.text.as_str()), (0, "again "));
        assert!(blocks.close("b", BlockKind::Thinking).is_none());
        assert!(blocks.close("b", BlockKind::Text).is_none());
        assert!(!MASK.is_empty());
    }

    #[test]
    fn a_piece_without_text_tells_that_a_block_has_begun() {
        let blocks = Blocks::default();
        let begun = Delta {
            kind: BlockKind::ToolInput.into(),
            tool_name: "Bash".to_owned(),
            ..delta(0, "")
        };
        let shown = blocks.mask(begun.clone(), &Redactor::default());
        assert_eq!(shown, Some(begun));
    }
}

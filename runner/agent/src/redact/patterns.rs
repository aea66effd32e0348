//! An automaton over the forms of all known secrets, and one pass over some bytes with it.

use std::ops::Range;

use aho_corasick::{
    Anchored,
    automaton::{Automaton as _, StateID},
    nfa::contiguous::NFA,
};

use super::{
    filter::{Filter, HEAD},
    forms::Form,
    unbroken::Unbroken,
};

/// What is searched for. Holds the forms in the clear for as long as it lives.
pub(super) struct Patterns {
    automaton: NFA,
    filter: Filter,
    start: StateID,
    /// How many bytes of a form have been seen in a state.
    depths: Vec<u32>,
}

/// What one pass has found.
pub(super) struct Found {
    /// What is to be masked: ascending, none overlaps another.
    pub ranges: Vec<Range<usize>>,
    /// From here on, something that is to be masked may begin whose end is not there yet.
    pub settled: usize,
}

impl Patterns {
    /// The automaton of these forms, each at least as long as what the filter looks at; `None` when
    /// there are none, or more than it can hold.
    pub fn new(forms: &[Form]) -> Option<Self> {
        if forms.is_empty() {
            return None;
        }
        let automaton = NFA::builder()
            .prefilter(false)
            .build(forms.iter().map(|form| &form[..]))
            .ok()?;
        let start = automaton.start_state(Anchored::No).ok()?;
        let mut patterns = Self {
            automaton,
            filter: Filter::new(forms.iter().map(|form| &form[..])),
            start,
            depths: Vec::new(),
        };
        for form in forms {
            patterns.note_depths(form)?;
        }
        Some(patterns)
    }

    fn note_depths(&mut self, form: &[u8]) -> Option<()> {
        let mut state = self.automaton.start_state(Anchored::Yes).ok()?;
        for (depth, byte) in (1..).zip(form) {
            state = self.automaton.next_state(Anchored::Yes, state, *byte);
            let index = state.as_usize();
            if self.depths.len() <= index {
                self.depths.resize(index + 1, 0);
            }
            self.depths[index] = depth;
        }
        Some(())
    }

    /// Searches. The first `masked` bytes are known to belong to something that is to be masked.
    pub fn search(&self, bytes: &[u8], masked: usize) -> Found {
        let text = Unbroken::of(bytes);
        let mut ranges = Vec::new();
        if masked > 0 {
            ranges.push(0..masked);
        }
        let mut state = self.start;
        let mut from = 0;
        while from < text.bytes.len() {
            // What has no room for a head any more may be the beginning of one.
            let tail = text.bytes.len().saturating_sub(HEAD - 1).max(from);
            from = self
                .filter
                .next(&text.bytes, from)
                .unwrap_or(tail)
                .min(tail);
            let least = from + HEAD;
            while let Some(&byte) = text.bytes.get(from) {
                state = self.automaton.next_state(Anchored::No, state, byte);
                let index = from;
                from += 1;
                if self.automaton.is_special(state) && self.automaton.is_match(state) {
                    let begin = from.saturating_sub(self.longest(state));
                    merge(&mut ranges, text.place(begin)..text.place(index) + 1);
                }
                if state == self.start && from >= least {
                    break;
                }
            }
        }
        let depth = self.depths.get(state.as_usize()).copied().unwrap_or(0) as usize;
        let settled = match depth {
            0 => bytes.len(),
            depth => text.place(text.bytes.len().saturating_sub(depth)),
        };
        Found { ranges, settled }
    }

    fn longest(&self, state: StateID) -> usize {
        let forms = 0..self.automaton.match_len(state);
        forms
            .map(|index| self.automaton.match_pattern(state, index))
            .map(|form| self.automaton.pattern_len(form))
            .max()
            .unwrap_or(0)
    }
}

/// Adds a range that ends last, together with those that it overlaps.
fn merge(ranges: &mut Vec<Range<usize>>, mut range: Range<usize>) {
    while let Some(last) = ranges.pop_if(|last| last.end > range.start) {
        range = last.start.min(range.start)..last.end.max(range.end);
    }
    ranges.push(range);
}

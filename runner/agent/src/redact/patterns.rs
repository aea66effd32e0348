//! An automaton over the forms of all known secrets, and one pass over some bytes with it.

use std::ops::Range;

use aho_corasick::{
    Anchored,
    automaton::{Automaton as _, StateID},
    nfa::contiguous::NFA,
};

use super::forms::{Form, is_break};

/// What is searched for. Holds the forms in the clear for as long as it lives.
pub(super) struct Patterns {
    automaton: NFA,
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
    /// The automaton of these forms; `None` when there are none, or more than it can hold.
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
        let mut ranges = Vec::new();
        if masked > 0 {
            ranges.push(0..masked);
        }
        let mut state = self.start;
        for (index, byte) in bytes.iter().enumerate() {
            if is_break(*byte) {
                continue;
            }
            state = self.automaton.next_state(Anchored::No, state, *byte);
            if self.automaton.is_special(state) && self.automaton.is_match(state) {
                let end = index + 1;
                merge(&mut ranges, back(bytes, end, self.longest(state))..end);
            }
        }
        let depth = self.depths.get(state.as_usize()).copied().unwrap_or(0);
        Found {
            ranges,
            settled: back(bytes, bytes.len(), depth as usize),
        }
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

/// Where the last so many bytes before `end` begin, line breaks not counted.
fn back(bytes: &[u8], end: usize, count: usize) -> usize {
    if count == 0 {
        return end;
    }
    let counted = bytes[..end]
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| !is_break(**byte));
    counted.map(|(index, _)| index).nth(count - 1).unwrap_or(0)
}

/// Adds a range that ends last, together with those that it overlaps.
fn merge(ranges: &mut Vec<Range<usize>>, mut range: Range<usize>) {
    while let Some(last) = ranges.pop_if(|last| last.end > range.start) {
        range = last.start.min(range.start)..last.end.max(range.end);
    }
    ranges.push(range);
}

//! What a session's page shows, folded from stored events and from deltas of open blocks. Pure:
//! it knows no browser, no clock and no transport. Repeating an event or a delta changes nothing,
//! so a reconnect may overlap with what is already here.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    mem,
    sync::Arc,
};

use membrane_proto::v1::{self as pb, BlockKind, event_payload::Kind};

mod entry;
mod fold;
#[cfg(test)]
mod tests;

pub use entry::{
    Activity, Attachment, Body, Cost, Entry, FileTouched, Inside, Key, Permission, Tool, ToolPhase,
    TurnSummary,
};

/// What became of an event that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was the next one.
    New,
    /// It was already here.
    Repeated,
    /// Something before it is missing: read on from [`Transcript::last_sequence`].
    Gap,
}

/// What has to be drawn again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Entries that look different now.
    pub entries: HashSet<Key>,
    /// Whether entries came, went or moved.
    pub order: bool,
}

/// The turn that is being folded.
#[derive(Clone, Debug, Default)]
struct Turn {
    model: String,
    provider: String,
    files: BTreeMap<String, FileTouched>,
}

/// One session as a list of entries, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    events: BTreeMap<i64, Arc<pb::Event>>,
    entries: Vec<Arc<Entry>>,
    index: HashMap<Key, usize>,
    todos: Vec<pb::Todo>,
    activity: Option<Activity>,
    turn: Turn,
    changes: Changes,
}

impl Transcript {
    /// Folds one page of stored events, ascending.
    pub fn from_events(events: impl IntoIterator<Item = pb::Event>) -> Self {
        let mut transcript = Self::default();
        for event in events {
            transcript.event(event);
        }
        transcript
    }

    /// Everything to be shown, oldest first.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// The entry with this key.
    pub fn entry(&self, key: &Key) -> Option<&Arc<Entry>> {
        self.index.get(key).and_then(|at| self.entries.get(*at))
    }

    /// The entry that shows this event: the one it belongs to, or the one that it came after. None if
    /// the event is not here.
    pub fn entry_of(&self, sequence: i64) -> Option<&Arc<Entry>> {
        let event = self.events.get(&sequence)?;
        let kind = event
            .payload
            .as_ref()
            .and_then(|payload| payload.kind.as_ref());
        let call = match kind {
            Some(Kind::ToolResult(result)) => Some(&result.tool_call_id),
            Some(Kind::PermissionRequested(request)) => Some(&request.tool_call_id),
            Some(Kind::PermissionResolved(answer)) => Some(&answer.tool_call_id),
            _ => None,
        };
        let own = call.and_then(|call| self.entry(&Key::Tool(call.clone())));
        let before = |entry: &&Arc<Entry>| (1..=sequence).contains(&entry.sequence);
        own.or_else(|| self.entries.iter().rfind(before))
            .or(self.entries.first())
    }

    /// The agent's list as it is now.
    pub fn todos(&self) -> &[pb::Todo] {
        &self.todos
    }

    /// What the session is doing; `None` if no event here tells.
    pub fn activity(&self) -> Option<Activity> {
        self.activity
    }

    /// Sequence of the oldest event here; 0 if there is none.
    pub fn first_sequence(&self) -> i64 {
        self.events
            .first_key_value()
            .map_or(0, |(sequence, _)| *sequence)
    }

    /// Sequence of the newest event here; 0 if there is none.
    pub fn last_sequence(&self) -> i64 {
        self.events
            .last_key_value()
            .map_or(0, |(sequence, _)| *sequence)
    }

    /// Keys of the tool calls that wait for a person's answer, oldest first.
    pub fn waiting(&self) -> Vec<Key> {
        let waits = |entry: &&Arc<Entry>| match &entry.body {
            Body::Tool(tool) => tool.phase() == ToolPhase::Waiting,
            _ => false,
        };
        self.entries
            .iter()
            .filter(waits)
            .map(|entry| entry.key.clone())
            .collect()
    }

    /// What model requests after this sequence cost.
    pub fn cost_after(&self, sequence: i64) -> Cost {
        self.events
            .range(sequence + 1..)
            .filter_map(|(_, event)| match event.payload.as_ref()?.kind.as_ref()? {
                Kind::ModelUsage(usage) => usage.usage.as_ref(),
                Kind::InsideRequest(request) => request.usage.as_ref(),
                _ => None,
            })
            .fold(Cost::default(), |sum, usage| sum.plus(Cost::of(usage)))
    }

    /// Takes note of what changed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        mem::take(&mut self.changes)
    }

    /// Takes the next stored event.
    pub fn event(&mut self, event: pb::Event) -> Applied {
        let last = self.last_sequence();
        if last != 0 && event.sequence <= last {
            return Applied::Repeated;
        }
        if last != 0 && event.sequence != last + 1 {
            return Applied::Gap;
        }
        let event = Arc::new(event);
        self.fold(&event);
        self.events.insert(event.sequence, event);
        Applied::New
    }

    /// Puts an older page before what is here. Calls in it find their results in what came later,
    /// so everything is folded again; open blocks stay.
    pub fn earlier(&mut self, page: impl IntoIterator<Item = pb::Event>) {
        let mut events = mem::take(&mut self.events);
        events.extend(
            page.into_iter()
                .map(|event| (event.sequence, Arc::new(event))),
        );
        let mut folded = Self::default();
        for event in events.values() {
            folded.fold(event);
        }
        folded.events = events;
        for entry in &self.entries {
            folded.adopt_open(entry);
        }
        let changed = |entry: &&Arc<Entry>| self.entry(&entry.key) != Some(entry);
        let keys = folded.entries.iter().filter(changed);
        folded.changes.entries = keys.map(|entry| entry.key.clone()).collect();
        folded.changes.order = true;
        *self = folded;
    }

    /// Takes a piece of an open block: what is held from its offset on is replaced. A piece of a
    /// block that is already stored, or one that begins beyond what is held, is left out; the
    /// stored event brings the whole.
    pub fn delta(&mut self, delta: &pb::Delta) {
        let kind = delta.kind();
        let key = match kind {
            BlockKind::Text | BlockKind::Thinking => Key::Block(delta.block_id.clone()),
            BlockKind::ToolInput | BlockKind::ToolOutput => Key::Tool(delta.block_id.clone()),
            BlockKind::Unspecified => return,
        };
        if self.entry(&key).is_none() {
            if delta.offset != 0 || kind == BlockKind::ToolOutput {
                return;
            }
            self.push(Entry::open(key.clone(), delta));
        }
        let Some(entry) = self.entry_mut(&key) else {
            return;
        };
        if let Some(held) = entry.body.open_text(kind)
            && splice(held, delta)
        {
            self.changes.entries.insert(key);
        }
    }

    fn entry_mut(&mut self, key: &Key) -> Option<&mut Entry> {
        let at = *self.index.get(key)?;
        self.entries.get_mut(at).map(Arc::make_mut)
    }

    fn push(&mut self, entry: Entry) {
        self.index.insert(entry.key.clone(), self.entries.len());
        self.changes.entries.insert(entry.key.clone());
        self.changes.order = true;
        self.entries.push(Arc::new(entry));
    }

    /// Replaces the entry with the same key in its place, or appends it.
    fn put(&mut self, entry: Entry) {
        match self.index.get(&entry.key) {
            Some(at) => {
                self.changes.entries.insert(entry.key.clone());
                self.entries[*at] = Arc::new(entry);
            }
            None => self.push(entry),
        }
    }

    fn remove_where(&mut self, gone: impl Fn(&Entry) -> bool) {
        let before = self.entries.len();
        self.entries.retain(|entry| !gone(entry));
        if self.entries.len() == before {
            return;
        }
        self.changes.order = true;
        self.index = self
            .entries
            .iter()
            .enumerate()
            .map(|(at, entry)| (entry.key.clone(), at))
            .collect();
    }

    /// Keeps what only deltas have told so far.
    fn adopt_open(&mut self, old: &Arc<Entry>) {
        if let (Body::Tool(was), Some(entry)) = (&old.body, self.entry_mut(&old.key)) {
            if let Body::Tool(tool) = &mut entry.body
                && tool.result.is_none()
            {
                tool.output.clone_from(&was.output);
            }
        } else if old.body.is_open() && self.entry(&old.key).is_none() {
            self.push(Entry::clone(old));
        }
    }
}

/// Applies one delta to the text that is held. Says whether it changed.
fn splice(held: &mut String, delta: &pb::Delta) -> bool {
    let Ok(offset) = usize::try_from(delta.offset) else {
        return false;
    };
    if offset > held.len() || !held.is_char_boundary(offset) {
        return false;
    }
    if held[offset..].starts_with(&delta.text) {
        return false;
    }
    held.truncate(offset);
    held.push_str(&delta.text);
    true
}

//! A transcript's entries as signals, in groups. A group is in the document whole, or stands there as
//! an empty place of its height; so a transcript of any length costs what is near the reader.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use leptos::prelude::*;

use crate::transcript::{Body, Changes, Entry, Key, Transcript};

/// Entries in a group; the one in the front may have fewer.
const GROUP: usize = 20;

/// One entry on the page, drawn again only when it changes.
#[derive(Clone)]
pub struct Row {
    /// Its name.
    pub key: Key,
    /// What it is now.
    pub entry: ArcRwSignal<Arc<Entry>>,
}

/// Neighbouring entries.
#[derive(Clone)]
pub struct Group {
    /// Its name for as long as the page lives.
    pub id: u64,
    /// Those that came to the front together have the same number here, and so have the first ones
    /// and all that came behind them.
    pub arrival: u64,
    /// Its entries, oldest first.
    pub rows: ArcRwSignal<Vec<Row>>,
    /// While they are not in the document, the height of their place in pixels.
    pub away: ArcRwSignal<Option<f64>>,
    /// The last of all stays in the document.
    last: Arc<AtomicBool>,
}

/// All of them.
#[derive(Default)]
pub struct Rows {
    groups: Vec<Group>,
    index: HashMap<Key, (u64, Row)>,
    count: usize,
    ids: u64,
    arrivals: u64,
}

impl Row {
    fn new(entry: &Arc<Entry>) -> Self {
        Self {
            key: entry.key.clone(),
            entry: ArcRwSignal::new(Arc::clone(entry)),
        }
    }
}

impl Group {
    /// Whether nothing comes after it.
    pub fn is_last(&self) -> bool {
        self.last.load(Ordering::Relaxed)
    }

    /// Puts its entries into the document.
    pub fn show(&self) {
        if self.away.read_untracked().is_some() {
            self.away.set(None);
        }
    }

    /// Takes its entries out of the document, and leaves this height.
    pub fn put_away(&self, height: f64) {
        if self.away.read_untracked().is_none() {
            self.away.set(Some(height));
        }
    }

    /// Leaves about as much room as its entries will take.
    fn put_off(&self) {
        let rows = self.rows.read_untracked();
        let heights = rows
            .iter()
            .map(|row| height(&row.entry.read_untracked().body));
        self.put_away(heights.sum());
    }

    /// What is said in it, so that a browser finds it while it is not drawn.
    pub fn words(&self) -> String {
        let rows = self.rows.read_untracked();
        let words: Vec<String> = rows
            .iter()
            .map(|row| row.entry.read_untracked().body.words())
            .collect();
        words.join("\n")
    }
}

impl Rows {
    /// The groups, oldest first.
    pub fn groups(&self) -> Vec<Group> {
        self.groups.clone()
    }

    /// The group with this entry.
    pub fn group_of(&self, key: &Key) -> Option<Group> {
        let (id, _) = self.index.get(key)?;
        self.groups.iter().find(|group| group.id == *id).cloned()
    }

    /// Puts changes on the page. Says whether there are other groups now.
    pub fn draw(&mut self, changes: &Changes, transcript: &Transcript) -> bool {
        for key in &changes.entries {
            if let (Some((_, row)), Some(entry)) = (self.index.get(key), transcript.entry(key)) {
                row.entry.set(Arc::clone(entry));
            }
        }
        if !changes.order {
            return false;
        }
        let before: Vec<u64> = self.groups.iter().map(|group| group.id).collect();
        self.arrange(transcript.entries());
        !self.groups.iter().map(|group| &group.id).eq(before.iter())
    }

    fn arrange(&mut self, entries: &[Arc<Entry>]) {
        if self.begins(entries) {
            self.append(&entries[self.count..]);
        } else {
            self.arrange_anew(entries);
        }
        self.count = entries.len();
        for (at, group) in self.groups.iter().enumerate() {
            let is_last = at + 1 == self.groups.len();
            group.last.store(is_last, Ordering::Relaxed);
        }
    }

    /// Whether these entries begin with those that are here. Names are unique and entries do not
    /// trade places, so the first and the last tell.
    fn begins(&self, entries: &[Arc<Entry>]) -> bool {
        let row = |group: Option<&Group>, last: bool| {
            let rows = group?.rows.read_untracked();
            let row = if last { rows.last() } else { rows.first() };
            row.map(|row| row.key.clone())
        };
        let at = |at: Option<usize>| Some(entries.get(at?)?.key.clone());
        self.count <= entries.len()
            && (self.count == 0
                || (row(self.groups.first(), false) == at(Some(0))
                    && row(self.groups.last(), true) == at(self.count.checked_sub(1))))
    }

    /// Keeps each entry in its group. What is new in front of one that is here comes into groups of
    /// its own, with all before it.
    fn arrange_anew(&mut self, entries: &[Arc<Entry>]) {
        let is_here = |entry: &Arc<Entry>| self.index.contains_key(&entry.key);
        let here = entries.iter().rposition(is_here).map_or(0, |last| last + 1);
        let new = entries[..here].iter().rposition(|entry| !is_here(entry));
        let (front, rest) = entries.split_at(new.map_or(0, |new| new + 1));
        let (kept, behind) = rest.split_at(here - front.len());
        let index = std::mem::take(&mut self.index);
        let before = std::mem::take(&mut self.groups);
        let mut drawn: HashMap<Key, (u64, Row)> = index;
        let mut row = |entry: &Arc<Entry>| drawn.remove(&entry.key);
        // The first of the front may be shorter, so that the next ones stay whole.
        let short = front.len() % GROUP;
        let (short, whole) = front.split_at(short);
        self.arrivals += 1;
        for some in std::iter::once(short).chain(whole.chunks(GROUP)) {
            let rows = some
                .iter()
                .map(|entry| row(entry).map_or_else(|| Row::new(entry), |(_, row)| row));
            if let Some(group) = self.push(rows.collect(), self.arrivals) {
                group.put_off();
            }
        }
        let mut kept = kept.iter().filter_map(row).peekable();
        for group in before {
            let mut rows = Vec::new();
            while let Some((_, row)) = kept.next_if(|(id, _)| *id == group.id) {
                self.index.insert(row.key.clone(), (group.id, row.clone()));
                rows.push(row);
            }
            if rows.is_empty() {
                continue;
            }
            if rows.len() != group.rows.read_untracked().len() {
                group.rows.set(rows);
            }
            self.groups.push(group);
        }
        self.append(behind);
    }

    fn append(&mut self, entries: &[Arc<Entry>]) {
        let mut rows: Vec<Row> = entries.iter().map(Row::new).collect();
        let arrival = self.groups.last().map_or(0, |last| last.arrival);
        if let Some(last) = self.groups.last() {
            let room = GROUP.saturating_sub(last.rows.read_untracked().len());
            let more: Vec<Row> = rows.drain(..room.min(rows.len())).collect();
            for row in &more {
                self.index.insert(row.key.clone(), (last.id, row.clone()));
            }
            if !more.is_empty() {
                last.rows.update(|rows| rows.extend(more));
            }
        }
        for some in rows.chunks(GROUP) {
            self.push(some.to_vec(), arrival);
        }
    }

    fn push(&mut self, rows: Vec<Row>, arrival: u64) -> Option<&Group> {
        if rows.is_empty() {
            return None;
        }
        self.ids += 1;
        for row in &rows {
            self.index.insert(row.key.clone(), (self.ids, row.clone()));
        }
        self.groups.push(Group {
            id: self.ids,
            arrival,
            rows: ArcRwSignal::new(rows),
            away: ArcRwSignal::new(None),
            last: Arc::default(),
        });
        self.groups.last()
    }
}

/// About how high an entry is, in pixels, with the space before it.
fn height(body: &Body) -> f64 {
    match body {
        Body::User { text, .. } => 70.0 + text_height(text),
        Body::Text { text, .. } => 16.0 + text_height(text),
        Body::Ended(_) => 64.0,
        Body::Tool(_) => 44.0,
        _ => 36.0,
    }
}

fn text_height(text: &str) -> f64 {
    let lines: usize = text.lines().map(|line| 1 + line.len() / 90).sum();
    lines as f64 * 24.0
}

#[cfg(test)]
mod tests {
    use leptos::prelude::*;
    use membrane_proto::v1::{self as pb, event_payload::Kind};

    use super::{GROUP, Rows};
    use crate::transcript::{Key, Transcript};

    fn said(sequence: i64) -> pb::Event {
        let block_id = sequence.to_string();
        let kind = Kind::AgentText(pb::AgentText {
            text: format!("word {sequence}"),
            block_id,
        });
        pb::Event {
            sequence,
            payload: Some(pb::EventPayload {
                kind: Some(kind),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn called(sequence: i64, result: bool) -> pb::Event {
        let tool_call_id = "call".to_owned();
        let kind = if result {
            Kind::ToolResult(pb::ToolResult {
                tool_call_id,
                ..Default::default()
            })
        } else {
            Kind::ToolCall(pb::ToolCall {
                tool_call_id,
                ..Default::default()
            })
        };
        let payload = pb::EventPayload {
            kind: Some(kind),
            ..Default::default()
        };
        pb::Event {
            sequence,
            payload: Some(payload),
            ..Default::default()
        }
    }

    fn drawn(transcript: &mut Transcript, rows: &mut Rows) -> Vec<(u64, usize)> {
        let changes = transcript.take_changes();
        rows.draw(&changes, transcript);
        let keys: Vec<Key> = rows
            .groups
            .iter()
            .flat_map(|group| group.rows.get_untracked())
            .map(|row| row.key)
            .collect();
        let wanted: Vec<Key> = transcript
            .entries()
            .iter()
            .map(|entry| entry.key.clone())
            .collect();
        assert_eq!(keys, wanted, "what is drawn is not what is told");
        assert_eq!(rows.index.len(), keys.len());
        let lasts = rows.groups.iter().filter(|group| group.is_last());
        assert_eq!(lasts.count(), 1);
        let size = |group: &super::Group| (group.id, group.rows.read_untracked().len());
        rows.groups.iter().map(size).collect()
    }

    #[test]
    fn new_entries_fill_the_last_group_and_then_open_another() {
        let (mut transcript, mut rows) = (Transcript::default(), Rows::default());
        for sequence in 1..=25 {
            transcript.event(said(sequence));
            drawn(&mut transcript, &mut rows);
        }
        assert_eq!(drawn(&mut transcript, &mut rows), [(1, GROUP), (2, 5)]);
    }

    #[test]
    fn an_earlier_page_leaves_the_groups_that_are_here_alone() {
        let mut transcript = Transcript::from_events((101..=125).map(said));
        let mut rows = Rows::default();
        drawn(&mut transcript, &mut rows);
        transcript.earlier((56..=100).map(said));
        assert_eq!(
            drawn(&mut transcript, &mut rows),
            [(3, 5), (4, GROUP), (5, GROUP), (1, GROUP), (2, 5)]
        );
        let away = |at: usize| rows.groups[at].away.get_untracked().is_some();
        assert!(away(0) && !away(3));
        let arrivals = rows.groups.iter().map(|group| group.arrival);
        assert_eq!(arrivals.collect::<Vec<_>>(), [1, 1, 1, 0, 0]);
    }

    #[test]
    fn a_call_whose_result_was_here_moves_to_where_it_began() {
        let mut events = vec![called(101, true)];
        events.extend((102..=110).map(said));
        let mut transcript = Transcript::from_events(events);
        let mut rows = Rows::default();
        drawn(&mut transcript, &mut rows);
        transcript.earlier([called(98, false), said(99), said(100)]);
        assert_eq!(drawn(&mut transcript, &mut rows), [(2, 3), (1, 9)]);
    }
}

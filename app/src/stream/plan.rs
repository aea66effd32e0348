//! The leader's book: what each tab wants and has, what the one stream must therefore bring, and
//! whether it has to be opened anew. Pure.

use std::collections::{BTreeMap, BTreeSet};

use membrane_proto::v1::{self as pb, watch_response::Kind};

use super::letters::{Topic, Want, Wants};

/// What the server takes in one watch.
pub const MOST_TOPICS: usize = 64;

/// A tab that lets so many heartbeats of the server pass in silence is gone: it crashed or is
/// frozen. Heartbeats come every ten seconds. Counted and not timed, since letters arrive in hidden
/// tabs as well, whose timers may run once a minute, and a computer that slept has missed none.
const MOST_MISSED: u32 = 4;

/// What one tab asked for.
#[derive(Clone, Debug)]
struct Asked {
    topic: Topic,
    /// The last sequence that the tab has, or will have when it has read its letters.
    have: i64,
    /// Whether a stream was opened since with this among its topics.
    served: bool,
}

/// One tab.
#[derive(Clone, Debug, Default)]
struct Tab {
    asked: BTreeMap<u64, Asked>,
    missed: u32,
    /// When it was last seen by somebody, by the count of letters.
    seen: u64,
}

/// The book.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    tabs: BTreeMap<String, Tab>,
    /// What the open stream brings, and the last sequence that it has brought of each.
    open: BTreeMap<Topic, i64>,
    letters: u64,
}

impl Plan {
    /// Takes note of all that a tab wants. What it asked for before keeps its place: the letter may
    /// be older than what was sent to it since.
    pub fn hear(&mut self, letter: Wants) {
        self.letters += 1;
        if letter.wants.is_empty() {
            self.tabs.remove(&letter.tab);
            return;
        }
        let tab = self.tabs.entry(letter.tab).or_default();
        tab.missed = 0;
        if letter.visible {
            tab.seen = self.letters;
        }
        let before = std::mem::take(&mut tab.asked);
        tab.asked = letter
            .wants
            .into_iter()
            .filter_map(|want| {
                let asking = want.asking;
                Some((asking, renewed(before.get(&asking), want)?))
            })
            .collect();
    }

    /// Counts a heartbeat, and forgets tabs that have let too many of them pass.
    pub fn beat(&mut self) {
        for tab in self.tabs.values_mut() {
            tab.missed += 1;
        }
        self.tabs.retain(|_, tab| tab.missed <= MOST_MISSED);
    }

    /// Whether another tab than this one wants something.
    pub fn has_others(&self, tab: &str) -> bool {
        self.tabs.keys().any(|name| name != tab)
    }

    /// Whether the stream that is open is not the one that is needed.
    pub fn is_stale(&self) -> bool {
        let needed = self.needed();
        let unserved = |asked: &Asked| !asked.served && needed.contains_key(&asked.topic);
        !needed.keys().eq(self.open.keys())
            || self
                .tabs
                .values()
                .any(|tab| tab.asked.values().any(unserved))
    }

    /// What to open now: each topic with the sequence to begin after. From here on that counts as
    /// open.
    pub fn open(&mut self) -> BTreeMap<Topic, i64> {
        self.open = self.needed();
        for asked in self
            .tabs
            .values_mut()
            .flat_map(|tab| tab.asked.values_mut())
        {
            asked.served |= self.open.contains_key(&asked.topic);
        }
        self.open.clone()
    }

    /// Takes note of a message that goes to the tabs. Returns the last sequence that was sent of its
    /// stream, itself included.
    pub fn pass(&mut self, response: &pb::WatchResponse) -> i64 {
        let Some(position) = Topic::of(response).and_then(|topic| self.open.get_mut(&topic)) else {
            return 0;
        };
        let Some(Kind::Event(event)) = &response.kind else {
            return *position;
        };
        *position = event.sequence;
        let next = |asked: &&mut Asked| {
            asked.have + 1 == event.sequence
                && matches!(&asked.topic, Topic::Log(stream) if *stream == event.stream)
        };
        let asked = self
            .tabs
            .values_mut()
            .flat_map(|tab| tab.asked.values_mut());
        for asked in asked.filter(next) {
            asked.have = event.sequence;
        }
        event.sequence
    }

    /// Forgets a topic that is not to be had any more; all of them for `None`.
    pub fn refuse(&mut self, topic: Option<&Topic>) {
        let is_it = |other: &Topic| topic.is_none_or(|topic| topic == other);
        for tab in self.tabs.values_mut() {
            tab.asked.retain(|_, asked| !is_it(&asked.topic));
        }
        self.tabs.retain(|_, tab| !tab.asked.is_empty());
        self.open.retain(|open, _| !is_it(open));
    }

    /// Everything that is wanted, from the lowest sequence that somebody has. Where it is more than
    /// one watch takes, tabs that were seen last come first; the others wait until they are seen.
    fn needed(&self) -> BTreeMap<Topic, i64> {
        let mut tabs: Vec<&Tab> = self.tabs.values().collect();
        tabs.sort_by_key(|tab| std::cmp::Reverse(tab.seen));
        let mut chosen = BTreeSet::new();
        for asked in tabs.iter().flat_map(|tab| tab.asked.values()) {
            if chosen.len() < MOST_TOPICS {
                chosen.insert(&asked.topic);
            }
        }
        let mut needed: BTreeMap<Topic, i64> = BTreeMap::new();
        for asked in tabs.iter().flat_map(|tab| tab.asked.values()) {
            if chosen.contains(&asked.topic) {
                let from = needed.entry(asked.topic.clone()).or_insert(asked.have);
                *from = asked.have.min(*from);
            }
        }
        needed
    }
}

fn renewed(before: Option<&Asked>, want: Want) -> Option<Asked> {
    let Want { topic, after, .. } = want;
    let (have, served) = before.map_or((after, false), |asked| {
        (asked.have.max(after), asked.served)
    });
    Some(Asked {
        topic: topic?,
        have,
        served,
    })
}

//! A tab's own book: what it watches, how far it is, and which messages are for it. Pure.

use std::collections::BTreeMap;

use membrane_proto::v1::{self as pb, EndReason, watch_response::Kind};

use super::letters::{Health, News, Refused, State, Topic, Want, Watched};
use crate::{api::ApiError, context::Link};

/// Ticks without a word of the leader after which a tab says that it is cut off.
const QUIET: u32 = 6;
/// Ticks without a word after which a tab that is seen takes the lead away.
const LOST: u32 = 9;

/// Something that arrived for whoever watches.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// The next event.
    Event(pb::Event),
    /// A piece of an open block, all events before which have arrived.
    Delta(pb::Delta),
    /// Entries of a directory may have changed.
    FilesChanged,
    /// The last item: the server ends it.
    End(EndReason),
    /// The last item: it is not to be had.
    Refused(ApiError),
}

/// One thing that is watched.
#[derive(Clone, Debug)]
struct Watch {
    topic: Topic,
    after: i64,
    asking: u64,
    /// Whether something arrived that does not follow what is here.
    gap: bool,
}

/// The book.
#[derive(Clone, Debug, Default)]
pub struct Tab {
    watches: BTreeMap<u64, Watch>,
    numbers: u64,
    leader: State,
    quiet: u32,
}

impl Tab {
    /// Watches something, from the sequence after this one. Returns its name here.
    pub fn add(&mut self, topic: Topic, after: i64) -> u64 {
        let name = self.number();
        let watch = Watch {
            topic,
            after,
            asking: name,
            gap: false,
        };
        self.watches.insert(name, watch);
        name
    }

    /// Watches something no more.
    pub fn remove(&mut self, name: u64) {
        self.watches.remove(&name);
    }

    /// What the leader has to know.
    pub fn wants(&self) -> Vec<Want> {
        let want = |watch: &Watch| Want {
            topic: Some(watch.topic.clone()),
            asking: watch.asking,
            after: watch.after,
        };
        self.watches.values().map(want).collect()
    }

    /// Asks for everything anew: letters may have been missed.
    pub fn ask_again(&mut self) {
        self.ask_anew(|_| true);
    }

    /// Asks anew where what arrived did not follow what is here. Belongs to heartbeats: a tab that
    /// has just asked sees later events of others first.
    pub fn mend(&mut self) {
        self.ask_anew(|watch| watch.gap);
    }

    /// Takes a message, and says to whom it goes.
    pub fn take(&mut self, news: News) -> Vec<(u64, Item)> {
        self.quiet = 0;
        let Some(response) = news.response else {
            return Vec::new();
        };
        let Some(topic) = Topic::of(&response) else {
            return Vec::new();
        };
        let position = news.position;
        let about = self
            .watches
            .iter_mut()
            .filter(|(_, watch)| watch.topic == topic);
        let items: Vec<_> = about
            .filter_map(|(name, watch)| Some((*name, watch.take(&response, position)?)))
            .collect();
        self.forget_ended(&items);
        items
    }

    /// Takes the word that something is not to be had, and says whom it concerns.
    pub fn refuse(&mut self, refused: Refused) -> Vec<(u64, Item)> {
        let error = ApiError {
            code: refused.code,
            ..ApiError::local(&refused.reason, &refused.message)
        };
        let concerned = |watch: &Watch| {
            let topic = refused.topic.as_ref();
            topic.is_none_or(|topic| *topic == watch.topic)
        };
        let items: Vec<_> = self
            .watches
            .iter()
            .filter(|(_, watch)| concerned(watch))
            .map(|(name, _)| (*name, Item::Refused(error.clone())))
            .collect();
        self.forget_ended(&items);
        items
    }

    /// Takes note of how the one stream is doing.
    pub fn hear_state(&mut self, state: State) {
        self.quiet = 0;
        self.leader = state;
    }

    /// Counts a tick, of five seconds. Says whether the leader seems to be lost.
    pub fn tick(&mut self, now: i64) -> bool {
        if self.watches.is_empty() {
            self.quiet = 0;
            return false;
        }
        self.quiet += 1;
        if self.quiet == QUIET {
            self.leader = State {
                health: Health::Broken.into(),
                since: now,
                watched: Vec::new(),
            };
        }
        self.quiet >= LOST
    }

    /// How this tab is connected.
    pub fn link(&self) -> Link {
        if self.watches.is_empty() {
            return Link::Resting;
        }
        let watched = |watch: &Watch| {
            let topic = Some(watch.topic.clone());
            self.leader.watched.contains(&Watched { topic })
        };
        match self.leader.health() {
            Health::Broken => Link::Broken {
                since: self.leader.since,
            },
            Health::Live if self.watches.values().all(watched) => Link::Live,
            Health::Live | Health::Connecting => Link::Connecting,
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn ask_anew(&mut self, which: impl Fn(&Watch) -> bool) {
        for watch in self.watches.values_mut().filter(|watch| which(watch)) {
            self.numbers += 1;
            watch.asking = self.numbers;
            watch.gap = false;
        }
    }

    fn forget_ended(&mut self, items: &[(u64, Item)]) {
        for (name, item) in items {
            if matches!(item, Item::End(_) | Item::Refused(_)) {
                self.watches.remove(name);
            }
        }
    }
}

impl Watch {
    /// What of a message is new here. A delta belongs behind the events that were sent before it,
    /// so a tab that lacks some of them has to wait for those.
    fn take(&mut self, response: &pb::WatchResponse, position: i64) -> Option<Item> {
        match response.kind.as_ref()? {
            Kind::Event(event) if event.sequence <= self.after => None,
            Kind::Event(event) if event.sequence == self.after + 1 => {
                self.after = event.sequence;
                self.gap = false;
                Some(Item::Event(event.clone()))
            }
            Kind::Event(_) => {
                self.gap = true;
                None
            }
            Kind::Delta(delta) => (self.after >= position).then(|| Item::Delta(delta.clone())),
            Kind::FilesChanged(_) => Some(Item::FilesChanged),
            Kind::End(end) => Some(Item::End(end.reason())),
            Kind::CaughtUp(_) | Kind::Lag(_) | Kind::Heartbeat(_) => None,
        }
    }
}

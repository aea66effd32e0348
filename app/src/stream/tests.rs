//! Tabs come and go, the leader changes, and everybody gets each event once.

use std::collections::BTreeMap;

use membrane_proto::v1::{self as pb, EndReason, watch_response::Kind};

use super::{
    letters::{Health, News, Refused, State, Topic, Want, Wants, Watched},
    plan::{MOST_TOPICS, Plan},
    tab::{Item, Tab},
};
use crate::context::Link;

fn log(name: &str) -> Topic {
    Topic::Log(name.to_owned())
}

fn want(asking: u64, name: &str, after: i64) -> Want {
    Want {
        topic: Some(log(name)),
        asking,
        after,
    }
}

fn letter(tab: &str, wants: impl IntoIterator<Item = Want>) -> Wants {
    Wants {
        tab: tab.to_owned(),
        visible: true,
        wants: wants.into_iter().collect(),
    }
}

fn event(name: &str, sequence: i64) -> pb::WatchResponse {
    pb::WatchResponse {
        kind: Some(Kind::Event(pb::Event {
            stream: name.to_owned(),
            sequence,
            ..Default::default()
        })),
    }
}

fn delta(name: &str) -> pb::WatchResponse {
    pb::WatchResponse {
        kind: Some(Kind::Delta(pb::Delta {
            stream: name.to_owned(),
            ..Default::default()
        })),
    }
}

fn news(response: pb::WatchResponse, position: i64) -> News {
    News {
        response: Some(response),
        position,
    }
}

/// A leader with one tab that is at event 10 of `a`, and for which the stream was opened.
fn led() -> Plan {
    let mut plan = Plan::default();
    plan.hear(letter("one", [want(1, "a", 10)]));
    plan.open();
    plan
}

fn sequences(items: Vec<(u64, Item)>) -> Vec<i64> {
    let sequence = |(_, item)| match item {
        Item::Event(event) => Some(event.sequence),
        _ => None,
    };
    items.into_iter().filter_map(sequence).collect()
}

#[test]
fn the_stream_has_what_all_tabs_want_from_the_lowest_cursor() {
    let mut plan = Plan::default();
    plan.hear(letter("one", [want(1, "a", 10), want(2, "b", 3)]));
    plan.hear(letter("two", [want(1, "a", 7)]));
    let opened = plan.open();
    assert_eq!(opened, BTreeMap::from([(log("a"), 7), (log("b"), 3)]));
    assert!(!plan.is_stale());
}

#[test]
fn where_nothing_is_wanted_nothing_is_opened() {
    let mut plan = led();
    assert!(Plan::default().open().is_empty());
    plan.hear(letter("one", []));
    assert!(plan.is_stale());
    assert!(plan.open().is_empty());
    assert!(!plan.is_stale());
}

#[test]
fn a_tab_that_renews_what_it_wants_opens_nothing_anew() {
    let mut plan = led();
    plan.pass(&event("a", 11));
    plan.pass(&event("a", 12));
    // Written before the last event came in.
    plan.hear(letter("one", [want(1, "a", 11)]));
    assert!(!plan.is_stale());
    assert_eq!(plan.open()[&log("a")], 12);
}

#[test]
fn a_tab_that_asks_anew_gets_what_it_lacks() {
    let mut plan = led();
    plan.pass(&event("a", 11));
    plan.pass(&event("a", 12));
    plan.hear(letter("one", [want(2, "a", 10)]));
    assert!(plan.is_stale());
    assert_eq!(plan.open()[&log("a")], 10);
}

#[test]
fn a_second_tab_of_the_same_session_gets_its_open_blocks() {
    let mut plan = led();
    plan.hear(letter("two", [want(1, "a", 10)]));
    assert!(
        plan.is_stale(),
        "open blocks come only when a stream begins"
    );
}

#[test]
fn a_tab_that_waits_does_not_move_on_with_the_others() {
    let mut plan = led();
    plan.hear(letter("late", [want(1, "a", 4)]));
    plan.pass(&event("a", 11));
    assert_eq!(plan.open()[&log("a")], 4);
    for sequence in 5..=12 {
        assert_eq!(plan.pass(&event("a", sequence)), sequence);
    }
    assert_eq!(plan.open()[&log("a")], 12);
}

#[test]
fn a_tab_that_crashed_is_forgotten_after_some_heartbeats() {
    let mut plan = led();
    plan.hear(letter("crashed", [want(1, "b", 0)]));
    plan.open();
    for _ in 0..4 {
        plan.beat();
        plan.hear(letter("one", [want(1, "a", 10)]));
        assert!(plan.has_others("one"));
    }
    plan.beat();
    plan.hear(letter("one", [want(1, "a", 10)]));
    assert!(!plan.has_others("one"));
    assert!(plan.is_stale());
    assert_eq!(plan.open().len(), 1);
}

#[test]
fn what_is_refused_is_wanted_no_more() {
    let mut plan = led();
    plan.hear(letter("two", [want(1, "gone", 0), want(2, "b", 0)]));
    plan.open();
    plan.refuse(Some(&log("gone")));
    assert!(!plan.is_stale());
    assert_eq!(plan.open().len(), 2);
    plan.refuse(None);
    assert!(plan.open().is_empty());
}

#[test]
fn more_than_a_watch_takes_waits_until_somebody_looks() {
    let mut plan = Plan::default();
    for tab in 0..=MOST_TOPICS {
        let name = format!("{tab:03}");
        plan.hear(letter(&name, [want(1, &name, 0)]));
    }
    let opened = plan.open();
    assert_eq!(opened.len(), MOST_TOPICS);
    assert!(!opened.contains_key(&log("000")), "it was seen first");
    assert!(!plan.is_stale(), "what has to wait opens nothing anew");
    plan.hear(letter("000", [want(1, "000", 0)]));
    assert!(plan.is_stale());
    assert!(plan.open().contains_key(&log("000")));
}

#[test]
fn a_tab_takes_each_event_once_and_in_order() {
    let mut tab = Tab::default();
    tab.add(log("a"), 10);
    let mut taken = Vec::new();
    for sequence in [9, 10, 11, 11, 12, 10, 11, 12, 13] {
        taken.extend(sequences(tab.take(news(event("a", sequence), sequence))));
    }
    assert_eq!(taken, [11, 12, 13]);
    assert!(tab.take(news(event("b", 1), 1)).is_empty());
}

#[test]
fn a_tab_that_missed_something_asks_anew_from_where_it_is() {
    let mut tab = Tab::default();
    tab.add(log("a"), 10);
    let before = tab.wants();
    assert!(tab.take(news(event("a", 13), 13)).is_empty());
    assert_eq!(tab.wants(), before, "what it asked for may be on its way");
    tab.mend();
    let after = tab.wants();
    assert_ne!(after[0].asking, before[0].asking);
    assert_eq!(after[0].after, 10);
    tab.mend();
    assert_eq!(tab.wants(), after);
}

#[test]
fn a_delta_waits_for_the_events_before_it() {
    let mut tab = Tab::default();
    tab.add(log("a"), 10);
    assert!(tab.take(news(delta("a"), 12)).is_empty());
    tab.take(news(event("a", 11), 11));
    tab.take(news(event("a", 12), 12));
    assert_eq!(tab.take(news(delta("a"), 12)).len(), 1);
    // Another tab is behind, and the stream was opened for it.
    assert_eq!(tab.take(news(delta("a"), 5)).len(), 1);
}

#[test]
fn a_directory_is_watched_beside_sessions() {
    let sources = Topic::directory("w", "src");
    let mut tab = Tab::default();
    tab.add(log("a"), 10);
    tab.add(sources.clone(), 0);
    let mut plan = Plan::default();
    plan.hear(letter("one", tab.wants()));
    assert_eq!(plan.open().len(), 2);
    let changed = pb::WatchResponse {
        kind: Some(Kind::FilesChanged(pb::FilesChanged {
            workspace_id: "w".to_owned(),
            path: "src".to_owned(),
        })),
    };
    plan.pass(&changed);
    assert_eq!(tab.take(news(changed, 0)), [(2, Item::FilesChanged)]);
    assert!(!plan.is_stale());
    plan.refuse(Some(&sources));
    assert_eq!(plan.open().len(), 1);
}

#[test]
fn an_end_is_the_last_that_comes() {
    let mut tab = Tab::default();
    tab.add(log("a"), 10);
    tab.add(log("b"), 0);
    let end = pb::WatchResponse {
        kind: Some(Kind::End(pb::End {
            stream: "a".to_owned(),
            reason: EndReason::Deleted.into(),
            ..Default::default()
        })),
    };
    let items = tab.take(news(end, 0));
    assert_eq!(items, [(1, Item::End(EndReason::Deleted))]);
    assert!(tab.take(news(event("a", 11), 11)).is_empty());
    assert_eq!(tab.wants().len(), 1);
    let items = tab.refuse(Refused::default());
    assert!(matches!(items.as_slice(), [(2, Item::Refused(_))]));
    assert!(tab.wants().is_empty());
}

#[test]
fn a_tab_is_live_when_the_leader_watches_what_it_wants() {
    let mut tab = Tab::default();
    assert_eq!(tab.link(), Link::Resting);
    tab.add(log("a"), 0);
    assert_eq!(tab.link(), Link::Connecting);
    let state = |names: &[&str]| State {
        health: Health::Live.into(),
        since: 0,
        watched: names
            .iter()
            .map(|name| Watched {
                topic: Some(log(name)),
            })
            .collect(),
    };
    tab.hear_state(state(&["b"]));
    assert_eq!(tab.link(), Link::Connecting);
    tab.hear_state(state(&["a", "b"]));
    assert_eq!(tab.link(), Link::Live);
    tab.hear_state(State {
        health: Health::Broken.into(),
        since: 7,
        watched: Vec::new(),
    });
    assert_eq!(tab.link(), Link::Broken { since: 7 });
}

#[test]
fn a_leader_that_says_nothing_is_lost_at_last() {
    let mut tab = Tab::default();
    assert!(
        !(0..20).any(|_| tab.tick(1)),
        "who watches nothing misses nobody"
    );
    tab.add(log("a"), 0);
    assert!(!(0..8).any(|_| tab.tick(1)));
    assert_eq!(tab.link(), Link::Broken { since: 1 });
    assert!(tab.tick(1));
    tab.hear_state(State::default());
    assert!(!tab.tick(1));
}

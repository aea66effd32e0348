//! Keeps a session's transcript up to date in the browser: what arrives on the browser's stream after
//! the last sequence that is here is drawn at most once a frame.

use std::{sync::Arc, time::Duration};

use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1::{self as pb, EndReason};

use crate::{
    api::{self, ApiError},
    stream::{Item, Stream, Topic},
    transcript::{Activity, Cost, Entry, Key, Transcript},
};

mod rows;

use rows::Rows;
pub use rows::{Group, Row};

/// Events that are loaded at a time as a reader goes back.
const PAGE: i32 = 500;
/// Events that the server gives at a time.
const LARGEST_PAGE: i32 = 1_000;
/// How long arrived text may wait to be drawn together with what follows.
const FRAME: Duration = Duration::from_millis(16);

/// A session's transcript as signals.
#[derive(Clone, Copy)]
pub struct Feed {
    stream: StoredValue<String>,
    transcript: StoredValue<Transcript>,
    rows: StoredValue<Rows>,
    groups: RwSignal<Vec<Group>>,
    drawing: StoredValue<bool>,
    /// The session's row, as last read.
    pub session: RwSignal<pb::Session>,
    /// The agent's list.
    pub todos: RwSignal<Vec<pb::Todo>>,
    /// What the session is doing.
    pub activity: RwSignal<Activity>,
    /// Tool calls that wait for an answer, oldest first.
    pub waiting: RwSignal<Vec<Key>>,
    /// What the session has cost so far.
    pub cost: RwSignal<Cost>,
    /// Whether there are older events on the server.
    pub has_earlier: RwSignal<bool>,
    /// Counts how often something that arrived was drawn; older history does not count.
    pub version: RwSignal<u32>,
    /// Why there will be no more events; none while there may be.
    pub over: RwSignal<Option<ApiError>>,
}

impl Feed {
    /// Begins with what the page was rendered with.
    pub fn new(session: pb::Session, history: pb::ListEventsResponse) -> Self {
        let mut transcript = Transcript::from_events(history.events);
        let mut rows = Rows::default();
        rows.draw(&transcript.take_changes(), &transcript);
        Self {
            stream: StoredValue::new(format!("sessions/{}", session.id)),
            groups: RwSignal::new(rows.groups()),
            rows: StoredValue::new(rows),
            drawing: StoredValue::new(false),
            todos: RwSignal::new(transcript.todos().to_vec()),
            activity: RwSignal::new(
                transcript
                    .activity()
                    .unwrap_or_else(|| Activity::of(session.state())),
            ),
            waiting: RwSignal::new(transcript.waiting()),
            cost: RwSignal::new(total(&session, &transcript)),
            has_earlier: RwSignal::new(history.has_more),
            version: RwSignal::new(0),
            over: RwSignal::new(None),
            session: RwSignal::new(session),
            transcript: StoredValue::new(transcript),
        }
    }

    /// In which arrivals the groups of entries came, in the order of the entries; tracked.
    pub fn arrivals(self) -> Vec<u64> {
        let groups = self.groups.read();
        let mut arrivals: Vec<u64> = groups.iter().map(|group| group.arrival).collect();
        arrivals.dedup();
        arrivals
    }

    /// The groups that came in one arrival, in order; tracked.
    pub fn groups_of(self, arrival: u64) -> Vec<Group> {
        let groups = self.groups.read();
        let came = |group: &&Group| group.arrival == arrival;
        groups.iter().filter(came).cloned().collect()
    }

    /// One of the groups; none when the page has gone.
    pub fn group(self, id: u64) -> Option<Group> {
        let groups = self.groups.try_read_untracked()?;
        groups.iter().find(|group| group.id == id).cloned()
    }

    /// The group with the entry that shows an event, and the address of that entry; none if it is not
    /// here.
    pub fn place_of(self, sequence: i64) -> Option<(Group, i64)> {
        let entry = self
            .transcript
            .try_with_value(|transcript| transcript.entry_of(sequence).cloned())??;
        let group = self
            .rows
            .try_with_value(|rows| rows.group_of(&entry.key))??;
        Some((group, entry.sequence))
    }

    /// One entry as it is now.
    pub fn entry(self, key: &Key) -> Option<Arc<Entry>> {
        self.transcript
            .with_value(|transcript| transcript.entry(key).cloned())
    }

    /// Whether there is nothing to show; tracked.
    pub fn is_empty(self) -> bool {
        self.groups.with(Vec::is_empty)
    }

    /// Follows the session until the page goes. For effects.
    pub fn follow(self, stream: Stream) {
        let topic = Topic::Log(self.stream.get_value());
        let after = self.transcript.with_value(Transcript::last_sequence);
        stream.watch(topic, after, move |item| self.take(item));
    }

    /// Loads the page before the oldest entry. `before_drawing` is called when it has come.
    pub async fn load_earlier(self, before_drawing: impl FnOnce()) -> Result<(), ApiError> {
        let Some(first) = self.first_sequence() else {
            return Ok(());
        };
        let events = self.read_before(first, PAGE).await?;
        before_drawing();
        self.put_before(events);
        Ok(())
    }

    /// Loads everything from this event on, unless it is here.
    pub async fn load_from(self, sequence: i64) -> Result<(), ApiError> {
        let Some(first) = self.first_sequence() else {
            return Ok(());
        };
        let (mut events, mut begin) = (Vec::new(), first);
        while begin > sequence && self.has_earlier.try_get_untracked() == Some(true) {
            let page = self.read_before(begin, LARGEST_PAGE).await?;
            begin = page.first().map_or(0, |event| event.sequence);
            events.splice(0..0, page);
        }
        if !events.is_empty() {
            self.put_before(events);
        }
        Ok(())
    }

    fn first_sequence(self) -> Option<i64> {
        self.transcript.try_with_value(Transcript::first_sequence)
    }

    async fn read_before(self, sequence: i64, size: i32) -> Result<Vec<pb::Event>, ApiError> {
        let request = pb::ListEventsRequest {
            stream: self.stream.try_get_value().unwrap_or_default(),
            before_sequence: sequence,
            page_size: size,
            ..Default::default()
        };
        let page = api::events().list_events(request).await?.into_inner();
        self.has_earlier.try_set(page.has_more);
        Ok(page.events)
    }

    fn put_before(self, events: Vec<pb::Event>) {
        self.transcript
            .try_update_value(|transcript| transcript.earlier(events));
        self.draw();
    }

    /// Reads the session's row again: its title and its cost are not in the event log.
    pub async fn reload_session(self) -> Result<(), ApiError> {
        let session_id = self.session.with_untracked(|session| session.id.clone());
        let request = pb::GetSessionRequest { session_id };
        let answer = api::sessions().get_session(request).await?.into_inner();
        self.session
            .set(answer.session.ok_or_else(ApiError::incomplete)?);
        self.draw();
        Ok(())
    }

    fn take(self, item: Item) {
        match item {
            Item::Event(event) => {
                let moves_row = moves_row(&event);
                self.transcript.update_value(|transcript| {
                    transcript.event(event);
                });
                if moves_row {
                    // A failure shows on the stream as well, and the next turn asks again.
                    spawn_local(async move { drop(self.reload_session().await) });
                }
                self.draw_soon();
            }
            Item::Delta(delta) => {
                self.transcript
                    .update_value(|transcript| transcript.delta(&delta));
                self.draw_soon();
            }
            Item::End(EndReason::AccessLost) => self.over.set(Some(access_lost())),
            Item::End(_) => self.over.set(Some(deleted())),
            Item::Refused(error) => self.over.set(Some(error)),
            // Not of a session.
            Item::FilesChanged => {}
        }
    }

    fn draw_soon(self) {
        if self.drawing.get_value() {
            return;
        }
        self.drawing.set_value(true);
        set_timeout(
            move || {
                // The page may have gone meanwhile.
                if self
                    .drawing
                    .try_update_value(|drawing| *drawing = false)
                    .is_some()
                {
                    self.draw();
                    self.version
                        .update(|version| *version = version.wrapping_add(1));
                }
            },
            FRAME,
        );
    }

    fn draw(self) {
        let Some(changes) = self.transcript.try_update_value(Transcript::take_changes) else {
            return;
        };
        self.transcript.with_value(|transcript| {
            let regrouped = self.rows.try_update_value(|rows| {
                let regrouped = rows.draw(&changes, transcript);
                regrouped.then(|| rows.groups())
            });
            if let Some(Some(groups)) = regrouped {
                self.groups.set(groups);
            }
            self.todos.set(transcript.todos().to_vec());
            if let Some(activity) = transcript.activity() {
                set_if_new(self.activity, activity);
            }
            set_if_new(self.waiting, transcript.waiting());
            let cost = self
                .session
                .with_untracked(|session| total(session, transcript));
            set_if_new(self.cost, cost);
        });
    }
}

fn set_if_new<T: PartialEq + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    if signal.with_untracked(|old| *old != value) {
        signal.set(value);
    }
}

/// The row's total holds everything up to its last sequence; what came later is added.
fn total(session: &pb::Session, transcript: &Transcript) -> Cost {
    let before = session.usage.as_ref().map(Cost::of).unwrap_or_default();
    before.plus(transcript.cost_after(session.last_sequence))
}

/// Whether the session's row has changed with it: its title, its totals.
fn moves_row(event: &pb::Event) -> bool {
    use pb::event_payload::Kind;
    let kind = event
        .payload
        .as_ref()
        .and_then(|payload| payload.kind.as_ref());
    matches!(kind, Some(Kind::TurnEnded(_) | Kind::UserMessage(_)))
}

fn deleted() -> ApiError {
    ApiError::local(
        "SESSION_DELETED",
        "Somebody deleted this session. What is shown is all that is left of it.",
    )
}

fn access_lost() -> ApiError {
    ApiError::local(
        "ACCESS_LOST",
        "You may no longer read this session. Ask an owner of the workspace.",
    )
}

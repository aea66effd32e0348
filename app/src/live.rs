//! Keeps a session's transcript up to date in the browser: what arrives on the browser's stream after
//! the last sequence that is here is drawn at most once a frame.

use std::{collections::HashMap, sync::Arc, time::Duration};

use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1::{self as pb, EndReason};

use crate::{
    api::{self, ApiError},
    stream::{Item, Stream, Topic},
    transcript::{Activity, Cost, Entry, Key, Transcript},
};

/// How long arrived text may wait to be drawn together with what follows.
const FRAME: Duration = Duration::from_millis(16);

/// One entry on the page, drawn again only when it changes.
#[derive(Clone)]
pub struct Row {
    /// Its name.
    pub key: Key,
    /// What it is now.
    pub entry: ArcRwSignal<Arc<Entry>>,
}

/// A session's transcript as signals.
#[derive(Clone, Copy)]
pub struct Feed {
    stream: StoredValue<String>,
    transcript: StoredValue<Transcript>,
    rows: RwSignal<Vec<Row>>,
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
    /// Counts how often something was drawn.
    pub version: RwSignal<u32>,
    /// Why there will be no more events; none while there may be.
    pub over: RwSignal<Option<ApiError>>,
}

impl Feed {
    /// Begins with what the page was rendered with.
    pub fn new(session: pb::Session, history: pb::ListEventsResponse) -> Self {
        let transcript = Transcript::from_events(history.events);
        let row = |entry: &Arc<Entry>| Row {
            key: entry.key.clone(),
            entry: ArcRwSignal::new(Arc::clone(entry)),
        };
        let feed = Self {
            stream: StoredValue::new(format!("sessions/{}", session.id)),
            rows: RwSignal::new(transcript.entries().iter().map(row).collect()),
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
        };
        feed.transcript
            .update_value(|transcript| drop(transcript.take_changes()));
        feed
    }

    /// The entries in order; tracked.
    pub fn rows(self) -> Vec<Row> {
        self.rows.get()
    }

    /// One entry as it is now.
    pub fn entry(self, key: &Key) -> Option<Arc<Entry>> {
        self.transcript
            .with_value(|transcript| transcript.entry(key).cloned())
    }

    /// Whether there is nothing to show; tracked.
    pub fn is_empty(self) -> bool {
        self.rows.with(Vec::is_empty)
    }

    /// Follows the session until the page goes. For effects.
    pub fn follow(self, stream: Stream) {
        let topic = Topic::Log(self.stream.get_value());
        let after = self.transcript.with_value(Transcript::last_sequence);
        stream.watch(topic, after, move |item| self.take(item));
    }

    /// Loads the page before the oldest entry.
    pub async fn load_earlier(self) -> Result<(), ApiError> {
        let request = pb::ListEventsRequest {
            stream: self.stream.get_value(),
            before_sequence: self.transcript.with_value(Transcript::first_sequence),
            page_size: 200,
            ..Default::default()
        };
        let page = api::events().list_events(request).await?.into_inner();
        self.has_earlier.set(page.has_more);
        self.transcript
            .update_value(|transcript| transcript.earlier(page.events));
        self.draw();
        Ok(())
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
            for row in self.rows.get_untracked() {
                if changes.entries.contains(&row.key)
                    && let Some(entry) = transcript.entry(&row.key)
                {
                    row.entry.set(Arc::clone(entry));
                }
            }
            if changes.order {
                self.rows.update(|rows| reorder(rows, transcript));
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
        self.version
            .update(|version| *version = version.wrapping_add(1));
    }
}

/// Puts the rows into the transcript's order, keeping those that are already drawn.
fn reorder(rows: &mut Vec<Row>, transcript: &Transcript) {
    let mut drawn: HashMap<Key, Row> = rows.drain(..).map(|row| (row.key.clone(), row)).collect();
    rows.extend(transcript.entries().iter().map(|entry| {
        drawn.remove(&entry.key).unwrap_or_else(|| Row {
            key: entry.key.clone(),
            entry: ArcRwSignal::new(Arc::clone(entry)),
        })
    }));
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

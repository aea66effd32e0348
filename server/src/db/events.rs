//! The event log's table. Sequences are given inside the writing transaction, in which a stream has
//! one writer, so they have no gaps and need no counter in memory.

use std::collections::{BTreeSet, HashMap, HashSet};

use membrane_entity::{event, turn};
use membrane_proto::v1::{Event, EventPayload, event_payload::Kind};
use prost::Message as _;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use thiserror::Error;
use uuid::Uuid;

use super::{Database, activities, serialise};
use crate::{
    clock::Millis,
    id::{RunId, SessionId, TurnId},
    time::timestamp,
};

/// Events read at a time, where all are wanted.
const PAGE: u64 = 1_000;

/// An event that has no number yet.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The stream it goes to.
    pub stream: String,
    /// The turn it belongs to; empty if none.
    pub turn_id: String,
    /// What happened.
    pub payload: EventPayload,
}

impl NewEvent {
    /// An event of a session's turn.
    #[must_use]
    pub fn of_turn(session: SessionId, turn: TurnId, kind: Kind) -> Self {
        Self {
            stream: session.stream(),
            turn_id: turn.to_string(),
            payload: EventPayload {
                kind: Some(kind),
                ..EventPayload::default()
            },
        }
    }

    /// An event of a run.
    #[must_use]
    pub fn of_run(run: RunId, kind: Kind) -> Self {
        Self {
            stream: run.stream(),
            turn_id: String::new(),
            payload: EventPayload {
                kind: Some(kind),
                ..EventPayload::default()
            },
        }
    }
}

/// Why events were not stored.
#[derive(Debug, Error)]
pub enum AppendError {
    /// None of them was.
    #[error("the events were not stored")]
    Failed(#[from] DbErr),
    /// The commit had no answer. What would have been stored.
    #[error("whether the events were stored is not known")]
    Unknown(#[source] DbErr, Vec<Option<Event>>),
}

/// Numbers and stores events in the caller's transaction, in their order. Publish the answer only
/// after the commit.
pub(crate) async fn insert(
    transaction: &DatabaseTransaction,
    events: Vec<NewEvent>,
    now: Millis,
) -> Result<Vec<Event>, DbErr> {
    let mut next = HashMap::new();
    for stream in streams_of(&events) {
        serialise(transaction, &stream).await?;
        let last = last_sequence(transaction, &stream).await?;
        next.insert(stream, last + 1);
    }
    let mut numbered = Vec::with_capacity(events.len());
    for event in events {
        let next = next.entry(event.stream.clone()).or_insert(1);
        let sequence = *next;
        *next += 1;
        numbered.push(Event {
            stream: event.stream,
            sequence,
            create_time: Some(timestamp(now)),
            turn_id: event.turn_id,
            payload: Some(event.payload),
        });
    }
    // SQLite takes at most 32,766 bound values a statement; five a row.
    for chunk in numbered.chunks(1_000) {
        let rows = chunk
            .iter()
            .map(|event| row(event, now).into_active_model());
        event::Entity::insert_many(rows)
            .exec_without_returning(transaction)
            .await?;
    }
    activities::note(transaction, &numbered, now).await?;
    Ok(numbered)
}

/// The streams of events. Sorted, so that of two who write to the same ones none waits for the other.
fn streams_of(events: &[NewEvent]) -> BTreeSet<String> {
    events.iter().map(|event| event.stream.clone()).collect()
}

/// Which of the turns that events belong to have ended.
async fn ended_turns(
    transaction: &DatabaseTransaction,
    events: &[NewEvent],
) -> Result<HashSet<String>, DbErr> {
    let named = events.iter().filter_map(|event| event.turn_id.parse().ok());
    let named: BTreeSet<Uuid> = named.collect();
    if named.is_empty() {
        return Ok(HashSet::new());
    }
    let ended: Vec<Uuid> = turn::Entity::find()
        .select_only()
        .column(turn::Column::Id)
        .filter(turn::Column::Id.is_in(named))
        .filter(turn::Column::State.eq("ended"))
        .into_tuple()
        .all(transaction)
        .await?;
    Ok(ended.into_iter().map(|id| id.to_string()).collect())
}

/// The newest events of a stream that are wanted, ascending, at most `limit`.
pub(crate) async fn latest(
    transaction: &DatabaseTransaction,
    stream: &str,
    limit: usize,
    wanted: impl Fn(&Kind) -> bool,
) -> Result<Vec<EventPayload>, DbErr> {
    let mut found = Vec::new();
    let mut before = i64::MAX;
    while found.len() < limit {
        let rows = event::Entity::find()
            .filter(event::Column::Stream.eq(stream))
            .filter(event::Column::Sequence.lt(before))
            .order_by_desc(event::Column::Sequence)
            .limit(PAGE)
            .all(transaction)
            .await?;
        let Some(last) = rows.last() else {
            break;
        };
        before = last.sequence;
        for row in rows {
            let payload = decode(row)?.payload.unwrap_or_default();
            if payload.kind.as_ref().is_some_and(&wanted) {
                found.push(payload);
            }
        }
    }
    found.truncate(limit);
    found.reverse();
    Ok(found)
}

impl Database {
    /// Numbers and stores events in one commit; but for those of turns that another server has ended,
    /// since whoever speaks in them was taken for dead.
    ///
    /// # Errors
    /// [`AppendError`].
    pub async fn append_events(
        &self,
        events: Vec<NewEvent>,
        now: Millis,
    ) -> Result<Vec<Option<Event>>, AppendError> {
        let transaction = self.begin().await?;
        if !self.is_shared() {
            let stored = insert(&transaction, events, now).await?;
            transaction.commit().await?;
            return Ok(stored.into_iter().map(Some).collect());
        }
        for stream in streams_of(&events) {
            serialise(&transaction, &stream).await?;
        }
        let ended = ended_turns(&transaction, &events).await?;
        let is_late = |event: &NewEvent| ended.contains(&event.turn_id);
        let late: Vec<bool> = events.iter().map(is_late).collect();
        let timely = events.into_iter().filter(|event| !is_late(event));
        let stored = insert(&transaction, timely.collect(), now).await?;
        let mut stored = stored.into_iter();
        let place = |late| if late { None } else { stored.next() };
        let placed = late.into_iter().map(place).collect();
        match transaction.commit().await {
            Ok(()) => Ok(placed),
            Err(error) => Err(AppendError::Unknown(error, placed)),
        }
    }

    /// Whether events are there whose commit had no answer.
    ///
    /// # Errors
    /// The database's own.
    pub async fn were_stored(&self, events: &[Option<Event>]) -> Result<bool, DbErr> {
        let Some(event) = events.iter().flatten().next() else {
            return Ok(true);
        };
        let place = (event.stream.clone(), event.sequence);
        let found = event::Entity::find_by_id(place).one(&self.reader).await?;
        let Some(found) = found else {
            return Ok(false);
        };
        Ok(decode(found)?.payload == event.payload)
    }

    /// Events after a sequence, ascending, at most `limit`.
    ///
    /// # Errors
    /// The database's own.
    pub async fn events_after(
        &self,
        stream: &str,
        after: i64,
        limit: u64,
    ) -> Result<Vec<Event>, DbErr> {
        let rows = event::Entity::find()
            .filter(event::Column::Stream.eq(stream))
            .filter(event::Column::Sequence.gt(after))
            .order_by_asc(event::Column::Sequence)
            .limit(limit)
            .all(&self.reader)
            .await?;
        rows.into_iter().map(decode).collect()
    }

    /// All events after a sequence, ascending.
    ///
    /// # Errors
    /// The database's own.
    pub async fn all_events_after(&self, stream: &str, after: i64) -> Result<Vec<Event>, DbErr> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map_or(after, |event| event.sequence);
            let page = self.events_after(stream, after, PAGE).await?;
            if page.is_empty() {
                return Ok(events);
            }
            events.extend(page);
        }
    }

    /// Events just before a sequence, ascending, at most `limit`.
    ///
    /// # Errors
    /// The database's own.
    pub async fn events_before(
        &self,
        stream: &str,
        before: i64,
        limit: u64,
    ) -> Result<Vec<Event>, DbErr> {
        let rows = event::Entity::find()
            .filter(event::Column::Stream.eq(stream))
            .filter(event::Column::Sequence.lt(before))
            .order_by_desc(event::Column::Sequence)
            .limit(limit)
            .all(&self.reader)
            .await?;
        rows.into_iter().rev().map(decode).collect()
    }

    /// The newest sequence of a stream, 0 if it has none.
    ///
    /// # Errors
    /// The database's own.
    pub async fn last_sequence(&self, stream: &str) -> Result<i64, DbErr> {
        last_sequence(&self.reader, stream).await
    }
}

async fn last_sequence(connection: &impl ConnectionTrait, stream: &str) -> Result<i64, DbErr> {
    let last: Option<i64> = event::Entity::find()
        .select_only()
        .column(event::Column::Sequence)
        .filter(event::Column::Stream.eq(stream))
        .order_by_desc(event::Column::Sequence)
        .limit(1)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(last.unwrap_or(0))
}

fn row(event: &Event, now: Millis) -> event::Model {
    event::Model {
        stream: event.stream.clone(),
        sequence: event.sequence,
        create_time: now,
        turn_id: event.turn_id.clone(),
        payload: event
            .payload
            .as_ref()
            .map(EventPayload::encode_to_vec)
            .unwrap_or_default(),
    }
}

fn decode(row: event::Model) -> Result<Event, DbErr> {
    let payload = EventPayload::decode(row.payload.as_slice())
        .map_err(|error| DbErr::Custom(format!("stored event cannot be decoded: {error}")))?;
    Ok(Event {
        stream: row.stream,
        sequence: row.sequence,
        create_time: Some(timestamp(row.create_time)),
        turn_id: row.turn_id,
        payload: Some(payload),
    })
}

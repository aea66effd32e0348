//! Activity rows: which events of sessions tell of a workspace's boundary.

use membrane_entity::{activity, session};
use membrane_proto::v1::{
    EgressLimit, EgressVerdict, Event, EventPayload, ToolResult, event_payload::Kind,
    tool_result::Detail,
};
use prost::Message as _;
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::LockType,
};
use uuid::Uuid;

use super::{Database, older_than};
use crate::{
    clock::Millis,
    id::{SessionId, WorkspaceId},
    page::Page,
};

/// Words of the column `kind`.
const ALLOWED: &str = "allowed";
const REFUSED: &str = "refused";
const TOTALS: &str = "totals";
const LIMIT: &str = "limit";

/// Which entries are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityFilter {
    /// All.
    All,
    /// Connections that were let out.
    Allowed,
    /// Connections that were refused.
    Refused,
    /// What calls sent and received.
    Totals,
    /// Limits that were reached.
    Limits,
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// Its id.
    pub id: Uuid,
    /// The session in which it happened.
    pub session: SessionId,
    /// Its event's number there.
    pub sequence: i64,
    /// When.
    pub create_time: Millis,
    /// What.
    pub kind: Option<Kind>,
}

/// What of an event can be searched for, and what is kept of it.
struct Traits {
    kind: &'static str,
    host: String,
    limited: bool,
    kept: Kind,
}

/// Notes those of these events, which are stored in the same transaction, that are activity.
pub(super) async fn note(
    transaction: &DatabaseTransaction,
    events: &[Event],
    now: Millis,
) -> Result<(), DbErr> {
    for event in events {
        let Some((traits, session_id)) = traits(event).zip(SessionId::from_stream(&event.stream))
        else {
            continue;
        };
        // Locked, so that it is not deleted before what refers to it is there.
        let session = session::Entity::find_by_id(session_id.0)
            .lock(LockType::KeyShare)
            .one(transaction)
            .await?;
        let Some(session) = session else {
            continue;
        };
        let row = activity::Model {
            id: Uuid::now_v7(),
            workspace_id: session.workspace_id,
            session_id: session_id.0,
            sequence: event.sequence,
            create_time: now,
            kind: traits.kind.to_owned(),
            host: traits.host,
            limited: traits.limited,
            payload: EventPayload {
                kind: Some(traits.kept),
                ..EventPayload::default()
            }
            .encode_to_vec(),
        };
        activity::Entity::insert(row.into_active_model())
            .exec_without_returning(transaction)
            .await?;
    }
    Ok(())
}

fn traits(event: &Event) -> Option<Traits> {
    let kind = event.payload.as_ref()?.kind.as_ref()?;
    match kind {
        Kind::EgressDecision(decision) => Some(Traits {
            kind: match decision.verdict() {
                EgressVerdict::Allowed => ALLOWED,
                _ => REFUSED,
            },
            host: decision.host.clone(),
            limited: decision.verdict() == EgressVerdict::Limit,
            kept: kind.clone(),
        }),
        Kind::EgressTotals(totals) => Some(Traits {
            kind: TOTALS,
            host: String::new(),
            limited: totals.limit() != EgressLimit::Unspecified,
            kept: kind.clone(),
        }),
        Kind::LimitMet(_) => Some(Traits {
            kind: LIMIT,
            host: String::new(),
            limited: true,
            kept: kind.clone(),
        }),
        Kind::ToolResult(result) => ended_for_a_limit(result),
        _ => None,
    }
}

/// A command that used too much; without what it printed.
fn ended_for_a_limit(result: &ToolResult) -> Option<Traits> {
    let Some(Detail::Command(command)) = &result.detail else {
        return None;
    };
    let kept = ToolResult {
        tool_call_id: result.tool_call_id.clone(),
        detail: result.detail.clone(),
        ..ToolResult::default()
    };
    (!command.exceeded_limit.is_empty()).then(|| Traits {
        kind: LIMIT,
        host: String::new(),
        limited: true,
        kept: Kind::ToolResult(kept),
    })
}

impl Database {
    /// One page of a workspace's activity, the latest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list_activity(
        &self,
        workspace: WorkspaceId,
        filter: ActivityFilter,
        host: &str,
        page: &Page,
    ) -> Result<Vec<Activity>, DbErr> {
        let mut query =
            activity::Entity::find().filter(activity::Column::WorkspaceId.eq(workspace.0));
        query = match filter {
            ActivityFilter::All => query,
            ActivityFilter::Allowed => query.filter(activity::Column::Kind.eq(ALLOWED)),
            ActivityFilter::Refused => query.filter(activity::Column::Kind.eq(REFUSED)),
            ActivityFilter::Totals => query.filter(activity::Column::Kind.eq(TOTALS)),
            ActivityFilter::Limits => query.filter(activity::Column::Limited.eq(true)),
        };
        if !host.is_empty() {
            query = query.filter(activity::Column::Host.eq(host.replace('\0', "")));
        }
        if let Some(place) = page.after {
            query = query.filter(older_than(
                activity::Column::CreateTime,
                activity::Column::Id,
                place,
            ));
        }
        let rows = query
            .order_by_desc(activity::Column::CreateTime)
            .order_by_desc(activity::Column::Id)
            .limit(page.fetch())
            .all(&self.reader)
            .await?;
        rows.into_iter().map(decode).collect()
    }
}

fn decode(row: activity::Model) -> Result<Activity, DbErr> {
    let payload = EventPayload::decode(row.payload.as_slice())
        .map_err(|error| DbErr::Custom(format!("stored activity cannot be decoded: {error}")))?;
    Ok(Activity {
        id: row.id,
        session: SessionId(row.session_id),
        sequence: row.sequence,
        create_time: row.create_time,
        kind: payload.kind,
    })
}

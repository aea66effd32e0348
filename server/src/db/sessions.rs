//! Session rows.

use std::collections::HashMap;

use membrane_entity::{event, permission_request, session, turn};
use membrane_proto::v1::Usage;
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::Set,
    ColumnTrait as _, Condition, DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, Func},
};
use uuid::Uuid;

use super::{Database, locked, members, older_than, requests, requests::RequestKey, workspaces};
use crate::{
    error::Error,
    id::{SessionId, WorkspaceId},
    page::Page,
};

/// A session with what is known about its turns.
#[derive(Debug, Clone)]
pub struct SessionSummary {
    /// The row.
    pub row: session::Model,
    /// Tokens and cost of all turns.
    pub usage: Usage,
    /// Number of turns.
    pub turns: i32,
    /// State of the unfinished turn, if there is one: `queued` or `running`.
    pub open_turn: Option<String>,
    /// Whether that turn waits for an answer.
    pub waiting: bool,
    /// Sequence of the newest event.
    pub last_sequence: i64,
}

impl Database {
    /// Inserts a session, unless an earlier call with the same key did.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the key was used for something else.
    pub async fn create_session(
        &self,
        row: session::Model,
        key: RequestKey,
    ) -> Result<SessionId, Error> {
        let transaction = self.begin().await?;
        if let Some(earlier) = requests::earlier(&transaction, &key).await? {
            return Ok(SessionId(earlier));
        }
        let (id, workspace, now) = (row.id, row.workspace_id, row.create_time);
        members::lock_workspace(&transaction, WorkspaceId(workspace)).await?;
        session::Entity::insert(row.into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        requests::remember(&transaction, &key, id, now).await?;
        workspaces::touch(&transaction, workspace, now).await?;
        transaction.commit().await?;
        Ok(SessionId(id))
    }

    /// The row alone.
    ///
    /// # Errors
    /// The database's own.
    pub async fn session_row(&self, id: SessionId) -> Result<Option<session::Model>, DbErr> {
        session::Entity::find_by_id(id.0).one(&self.reader).await
    }

    /// A session with its summary.
    ///
    /// # Errors
    /// The database's own.
    pub async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>, DbErr> {
        match self.session_row(id).await? {
            Some(row) => Ok(self.summarise_sessions(vec![row]).await?.pop()),
            None => Ok(None),
        }
    }

    /// Ids of a workspace's sessions.
    ///
    /// # Errors
    /// The database's own.
    pub async fn session_ids(&self, workspace: WorkspaceId) -> Result<Vec<SessionId>, DbErr> {
        let ids: Vec<Uuid> = session::Entity::find()
            .select_only()
            .column(session::Column::Id)
            .filter(session::Column::WorkspaceId.eq(workspace.0))
            .into_tuple()
            .all(&self.reader)
            .await?;
        Ok(ids.into_iter().map(SessionId).collect())
    }

    /// One page of a workspace's sessions, the most recently active first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list_sessions(
        &self,
        workspace: WorkspaceId,
        page: &Page,
    ) -> Result<Vec<SessionSummary>, DbErr> {
        let mut query =
            session::Entity::find().filter(session::Column::WorkspaceId.eq(workspace.0));
        if let Some(place) = page.after {
            query = query.filter(older_than(
                session::Column::UpdateTime,
                session::Column::Id,
                place,
            ));
        }
        let rows = query
            .order_by_desc(session::Column::UpdateTime)
            .order_by_desc(session::Column::Id)
            .limit(page.fetch())
            .all(&self.reader)
            .await?;
        self.summarise_sessions(rows).await
    }

    /// Changes the title, if the version is still the one the caller read.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::StaleEtag`].
    pub async fn rename_session(
        &self,
        id: SessionId,
        read_version: i64,
        title: String,
    ) -> Result<(), Error> {
        let transaction = self.begin().await?;
        let found = locked(session::Entity::find_by_id(id.0));
        let Some(row) = found.one(&transaction).await? else {
            return Err(Error::NotFound("session"));
        };
        if row.version != read_version {
            return Err(Error::StaleEtag);
        }
        let mut change = row.into_active_model();
        change.title = Set(title);
        change.version = Set(read_version + 1);
        change.update(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes a session with its events.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_session(&self, id: SessionId) -> Result<(), Error> {
        let transaction = self.begin().await?;
        locked(session::Entity::find_by_id(id.0))
            .one(&transaction)
            .await?;
        event::Entity::delete_many()
            .filter(event::Column::Stream.eq(id.stream()))
            .exec(&transaction)
            .await?;
        let deleted = session::Entity::delete_by_id(id.0)
            .exec(&transaction)
            .await?;
        if deleted.rows_affected == 0 {
            return Err(Error::NotFound("session"));
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn summarise_sessions(
        &self,
        rows: Vec<session::Model>,
    ) -> Result<Vec<SessionSummary>, DbErr> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let totals = self.turn_totals(&ids).await?;
        let open = self.open_turns(&ids).await?;
        let waiting = self.waiting_sessions(&ids).await?;
        let mut summaries = Vec::with_capacity(rows.len());
        for row in rows {
            let (turns, usage) = totals.get(&row.id).cloned().unwrap_or_default();
            summaries.push(SessionSummary {
                usage,
                turns,
                open_turn: open.get(&row.id).cloned(),
                waiting: waiting.contains(&row.id),
                last_sequence: self.last_sequence(&SessionId(row.id).stream()).await?,
                row,
            });
        }
        Ok(summaries)
    }

    async fn turn_totals(&self, sessions: &[Uuid]) -> Result<HashMap<Uuid, (i32, Usage)>, DbErr> {
        #[derive(sea_orm::FromQueryResult)]
        struct Totals {
            session_id: Uuid,
            turns: i64,
            input: i64,
            output: i64,
            written: i64,
            read: i64,
            requests: i64,
            cost: Option<i64>,
            unpriced: i64,
        }
        let unpriced: Expr = Expr::case(
            Condition::all()
                .add(turn::Column::CostMicroUsd.is_null())
                .add(turn::Column::Requests.gt(0)),
            1,
        )
        .finally(0)
        .into();
        let rows = turn::Entity::find()
            .select_only()
            .column(turn::Column::SessionId)
            .column_as(turn::Column::Id.count(), "turns")
            .column_as(sum(turn::Column::InputTokens), "input")
            .column_as(sum(turn::Column::OutputTokens), "output")
            .column_as(sum(turn::Column::CacheCreationInputTokens), "written")
            .column_as(sum(turn::Column::CacheReadInputTokens), "read")
            .column_as(sum(turn::Column::Requests), "requests")
            .column_as(whole(turn::Column::CostMicroUsd.sum()), "cost")
            .expr_as(Func::sum(unpriced), "unpriced")
            .filter(turn::Column::SessionId.is_in(sessions.iter().copied()))
            .group_by(turn::Column::SessionId)
            .into_model::<Totals>()
            .all(&self.reader)
            .await?;
        Ok(rows
            .into_iter()
            .map(|totals| {
                let usage = Usage {
                    input_tokens: totals.input,
                    output_tokens: totals.output,
                    cache_creation_input_tokens: totals.written,
                    cache_read_input_tokens: totals.read,
                    // One turn of unknown price makes the total unknown, never too small.
                    cost_micro_usd: totals.cost.filter(|_| totals.unpriced == 0),
                    requests: i32::try_from(totals.requests).unwrap_or(i32::MAX),
                };
                let turns = i32::try_from(totals.turns).unwrap_or(i32::MAX);
                (totals.session_id, (turns, usage))
            })
            .collect())
    }

    async fn open_turns(&self, sessions: &[Uuid]) -> Result<HashMap<Uuid, String>, DbErr> {
        let rows: Vec<(Uuid, String)> = turn::Entity::find()
            .select_only()
            .column(turn::Column::SessionId)
            .column(turn::Column::State)
            .filter(turn::Column::SessionId.is_in(sessions.iter().copied()))
            .filter(turn::Column::State.ne("ended"))
            .into_tuple()
            .all(&self.reader)
            .await?;
        Ok(rows.into_iter().collect())
    }

    async fn waiting_sessions(&self, sessions: &[Uuid]) -> Result<Vec<Uuid>, DbErr> {
        permission_request::Entity::find()
            .select_only()
            .column(permission_request::Column::SessionId)
            .filter(permission_request::Column::SessionId.is_in(sessions.iter().copied()))
            .filter(permission_request::Column::State.eq("pending"))
            .into_tuple()
            .all(&self.reader)
            .await
    }
}

/// PostgreSQL's sum of BIGINT is a NUMERIC, which nothing here needs.
fn whole(sum: Expr) -> Expr {
    sum.cast_as("bigint")
}

fn sum(column: turn::Column) -> Expr {
    whole(Func::coalesce([column.sum(), Expr::value(0)]).into())
}

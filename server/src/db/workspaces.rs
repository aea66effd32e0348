//! Workspace rows.

use membrane_entity::{member, run, session, turn, workspace, workspace_remains};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, DbErr, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    RelationTrait as _, sea_query::Expr,
};

use super::{Database, locked, members, older_than, requests, requests::RequestKey};
use crate::{
    authz::Role,
    clock::Millis,
    error::Error,
    id::{UserId, WorkspaceId},
    page::Page,
};

/// A workspace as its members see it.
#[derive(Debug, Clone)]
pub struct WorkspaceSummary {
    /// The row.
    pub row: workspace::Model,
    /// The caller's role.
    pub role: Role,
    /// Number of sessions.
    pub sessions: u64,
    /// Number of sessions with an unfinished turn.
    pub active_sessions: u64,
}

/// Settings as a row keeps them.
#[derive(Debug)]
pub struct StoredSettings {
    /// All of them.
    pub json: String,
    /// What claims ask of them.
    pub max_concurrent_runs: i32,
}

impl Database {
    /// Inserts a workspace with its owner, unless an earlier call with the same key did. Answers
    /// the id that is valid, which is not `row.id` in that case.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the key was used for something else.
    pub async fn create_workspace(
        &self,
        row: workspace::Model,
        key: RequestKey,
    ) -> Result<WorkspaceId, Error> {
        let transaction = self.begin().await?;
        if let Some(earlier) = requests::earlier(&transaction, &key).await? {
            return Ok(WorkspaceId(earlier));
        }
        let (id, now) = (WorkspaceId(row.id), row.create_time);
        workspace::Entity::insert(row.into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        members::insert_member(&transaction, id, key.user_id, Role::Owner, now).await?;
        requests::remember(&transaction, &key, id.0, now).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// What an earlier creating call with this key made, so that a repeated upload need not be
    /// read to its end.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the key was used for something else.
    pub async fn earlier_request(&self, key: RequestKey) -> Result<Option<uuid::Uuid>, Error> {
        let transaction = self.begin().await?;
        requests::earlier(&transaction, &key).await
    }

    /// Remembers what a call with this key has made outside the database. Answers what is valid:
    /// that, or what an equal call that was faster has made.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the key was used for something else.
    pub async fn remember_request(
        &self,
        key: RequestKey,
        made: uuid::Uuid,
        now: Millis,
    ) -> Result<uuid::Uuid, Error> {
        let transaction = self.begin().await?;
        if let Some(earlier) = requests::earlier(&transaction, &key).await? {
            return Ok(earlier);
        }
        requests::remember(&transaction, &key, made, now).await?;
        transaction.commit().await?;
        Ok(made)
    }

    /// A workspace as one user sees it; `None` if they are no member.
    ///
    /// # Errors
    /// The database's own.
    pub async fn workspace(
        &self,
        user: UserId,
        id: WorkspaceId,
    ) -> Result<Option<WorkspaceSummary>, DbErr> {
        let Some(role) = self.role(user, id).await? else {
            return Ok(None);
        };
        match self.workspace_row(id).await? {
            Some(row) => Ok(Some(self.summarise(row, role).await?)),
            None => Ok(None),
        }
    }

    /// The row alone.
    ///
    /// # Errors
    /// The database's own.
    pub async fn workspace_row(&self, id: WorkspaceId) -> Result<Option<workspace::Model>, DbErr> {
        workspace::Entity::find_by_id(id.0).one(&self.reader).await
    }

    /// Ids of all workspaces, for the sweep at start.
    ///
    /// # Errors
    /// The database's own.
    pub async fn workspace_ids(&self) -> Result<Vec<WorkspaceId>, DbErr> {
        let ids: Vec<uuid::Uuid> = workspace::Entity::find()
            .select_only()
            .column(workspace::Column::Id)
            .into_tuple()
            .all(&self.reader)
            .await?;
        Ok(ids.into_iter().map(WorkspaceId).collect())
    }

    /// One page of a user's workspaces, the most recently active first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list_workspaces(
        &self,
        user: UserId,
        page: &Page,
    ) -> Result<Vec<WorkspaceSummary>, DbErr> {
        let mut query = workspace::Entity::find().filter(
            workspace::Column::Id.in_subquery(
                sea_orm::QuerySelect::query(
                    &mut member::Entity::find()
                        .select_only()
                        .column(member::Column::WorkspaceId)
                        .filter(member::Column::UserId.eq(user.0)),
                )
                .to_owned(),
            ),
        );
        if let Some(place) = page.after {
            query = query.filter(older_than(
                workspace::Column::UpdateTime,
                workspace::Column::Id,
                place,
            ));
        }
        let rows = query
            .order_by_desc(workspace::Column::UpdateTime)
            .order_by_desc(workspace::Column::Id)
            .limit(page.fetch())
            .all(&self.reader)
            .await?;
        let mut summaries = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(role) = self.role(user, WorkspaceId(row.id)).await? {
                summaries.push(self.summarise(row, role).await?);
            }
        }
        Ok(summaries)
    }

    /// Changes name and settings, if the version is still the one the caller read.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::StaleEtag`].
    pub async fn update_workspace(
        &self,
        id: WorkspaceId,
        read_version: i64,
        name: String,
        settings: StoredSettings,
        now: Millis,
    ) -> Result<(), Error> {
        let transaction = self.begin().await?;
        let Some(row) = locked(workspace::Entity::find_by_id(id.0))
            .one(&transaction)
            .await?
        else {
            return Err(Error::NotFound("workspace"));
        };
        if row.version != read_version {
            return Err(Error::StaleEtag);
        }
        let mut change = row.into_active_model();
        change.name = Set(name);
        change.settings = Set(settings.json);
        change.max_concurrent_runs = Set(settings.max_concurrent_runs);
        change.version = Set(read_version + 1);
        change.update_time = Set(now);
        change.update(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes the row and, by cascade, everything that hangs on it; its sessions' events too. Where a
    /// time is given, the workspace has objects in an object store, which is noted.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::StaleEtag`].
    pub async fn delete_workspace(
        &self,
        id: WorkspaceId,
        read_version: Option<i64>,
        remains: Option<Millis>,
    ) -> Result<(), Error> {
        use membrane_entity::event;
        let transaction = self.begin().await?;
        let Some(row) = locked(workspace::Entity::find_by_id(id.0))
            .one(&transaction)
            .await?
        else {
            return Err(Error::NotFound("workspace"));
        };
        if read_version.is_some_and(|version| version != row.version) {
            return Err(Error::StaleEtag);
        }
        let sessions: Vec<uuid::Uuid> = session::Entity::find()
            .select_only()
            .column(session::Column::Id)
            .filter(session::Column::WorkspaceId.eq(id.0))
            .into_tuple()
            .all(&transaction)
            .await?;
        let runs: Vec<uuid::Uuid> = run::Entity::find()
            .select_only()
            .column(run::Column::Id)
            .filter(run::Column::WorkspaceId.eq(id.0))
            .into_tuple()
            .all(&transaction)
            .await?;
        let sessions = sessions
            .into_iter()
            .map(|id| crate::id::SessionId(id).stream());
        let runs = runs.into_iter().map(|id| crate::id::RunId(id).stream());
        for stream in sessions.chain(runs) {
            event::Entity::delete_many()
                .filter(event::Column::Stream.eq(stream))
                .exec(&transaction)
                .await?;
        }
        workspace::Entity::delete_by_id(id.0)
            .exec(&transaction)
            .await?;
        if let Some(delete_time) = remains {
            let remains = workspace_remains::Model {
                workspace_id: id.0,
                delete_time,
            };
            workspace_remains::Entity::insert(remains.into_active_model())
                .exec_without_returning(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Workspaces that are gone and may have left objects, and when they went.
    ///
    /// # Errors
    /// The database's own.
    pub async fn workspace_remains(&self) -> Result<Vec<(WorkspaceId, Millis)>, DbErr> {
        let rows = workspace_remains::Entity::find().all(&self.reader).await?;
        let pairs = rows.into_iter();
        Ok(pairs
            .map(|row| (WorkspaceId(row.workspace_id), row.delete_time))
            .collect())
    }

    /// Forgets that a workspace may have left objects.
    ///
    /// # Errors
    /// The database's own.
    pub async fn forget_remains(&self, id: WorkspaceId) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        workspace_remains::Entity::delete_by_id(id.0)
            .exec(&transaction)
            .await?;
        transaction.commit().await
    }

    async fn summarise(
        &self,
        row: workspace::Model,
        role: Role,
    ) -> Result<WorkspaceSummary, DbErr> {
        let sessions = session::Entity::find()
            .filter(session::Column::WorkspaceId.eq(row.id))
            .count(&self.reader)
            .await?;
        let active_sessions = turn::Entity::find()
            .join(sea_orm::JoinType::InnerJoin, turn::Relation::Session.def())
            .filter(session::Column::WorkspaceId.eq(row.id))
            .filter(turn::Column::State.ne("ended"))
            .count(&self.reader)
            .await?;
        Ok(WorkspaceSummary {
            row,
            role,
            sessions,
            active_sessions,
        })
    }
}

/// Notes in the caller's transaction that something happened in a workspace.
pub(super) async fn touch(
    transaction: &sea_orm::DatabaseTransaction,
    id: uuid::Uuid,
    now: Millis,
) -> Result<(), DbErr> {
    workspace::Entity::update_many()
        .col_expr(workspace::Column::UpdateTime, Expr::value(now))
        .filter(workspace::Column::Id.eq(id))
        .exec(transaction)
        .await?;
    Ok(())
}

//! Change set rows.

use membrane_entity::{change_set, turn};
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
};

use super::{Database, older_than, servers};
use crate::{
    id::{ChangeSetId, SessionId, TurnId, WorkspaceId},
    page::Page,
};

impl Database {
    /// Stores change sets of a workspace, in place of the open one: what a turn that never ended
    /// began must not be taken for the work of the next.
    ///
    /// # Errors
    /// The database's own.
    pub async fn store_change_sets(
        &self,
        workspace: WorkspaceId,
        rows: Vec<change_set::Model>,
    ) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        change_set::Entity::delete_many()
            .filter(change_set::Column::WorkspaceId.eq(workspace.0))
            .filter(change_set::Column::AfterManifest.is_null())
            .exec(&transaction)
            .await?;
        for row in rows {
            change_set::Entity::insert(row.into_active_model())
                .exec_without_returning(&transaction)
                .await?;
        }
        transaction.commit().await
    }

    /// Stores the change sets of a turn that has ended, in place of its open one; answers whether that
    /// was there. Otherwise another server has closed it, or the next turn has begun.
    ///
    /// # Errors
    /// The database's own.
    pub async fn close_change_set(
        &self,
        turn: TurnId,
        rows: Vec<change_set::Model>,
    ) -> Result<bool, DbErr> {
        let transaction = self.begin().await?;
        let open = change_set::Entity::delete_many()
            .filter(change_set::Column::TurnId.eq(turn.0))
            .filter(change_set::Column::AfterManifest.is_null())
            .exec(&transaction)
            .await?;
        if open.rows_affected == 0 {
            return Ok(false);
        }
        for row in rows {
            change_set::Entity::insert(row.into_active_model())
                .exec_without_returning(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Change sets of turns that were cut off by the end of their server.
    ///
    /// # Errors
    /// The database's own.
    pub async fn orphaned_change_sets(&self) -> Result<Vec<change_set::Model>, DbErr> {
        let at_work = turn::Entity::find()
            .select_only()
            .column(turn::Column::Id)
            .filter(turn::Column::State.ne("ended"))
            .filter(turn::Column::ServerId.in_subquery(servers::living()))
            .into_query();
        change_set::Entity::find()
            .filter(change_set::Column::AfterManifest.is_null())
            .filter(change_set::Column::TurnId.not_in_subquery(at_work))
            .all(&self.reader)
            .await
    }

    /// The manifest of a workspace's files as they were last recorded.
    ///
    /// # Errors
    /// The database's own.
    pub async fn last_manifest(&self, workspace: WorkspaceId) -> Result<Option<String>, DbErr> {
        let last = finished(workspace)
            .order_by_desc(change_set::Column::CreateTime)
            .order_by_desc(change_set::Column::Id)
            .one(&self.reader)
            .await?;
        Ok(last.and_then(|row| row.after_manifest))
    }

    /// A finished change set of a workspace.
    ///
    /// # Errors
    /// The database's own.
    pub async fn change_set(
        &self,
        workspace: WorkspaceId,
        id: ChangeSetId,
    ) -> Result<Option<change_set::Model>, DbErr> {
        finished(workspace)
            .filter(change_set::Column::Id.eq(id.0))
            .one(&self.reader)
            .await
    }

    /// One page of a workspace's change sets that changed something, the latest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list_change_sets(
        &self,
        workspace: WorkspaceId,
        session: Option<SessionId>,
        page: &Page,
    ) -> Result<Vec<change_set::Model>, DbErr> {
        let mut query = finished(workspace).filter(change_set::Column::FileCount.gt(0));
        if let Some(session) = session {
            query = query
                .filter(change_set::Column::SessionId.eq(session.0))
                .filter(change_set::Column::Kind.eq("turn"));
        }
        if let Some(place) = page.after {
            query = query.filter(older_than(
                change_set::Column::CreateTime,
                change_set::Column::Id,
                place,
            ));
        }
        query
            .order_by_desc(change_set::Column::CreateTime)
            .order_by_desc(change_set::Column::Id)
            .limit(page.fetch())
            .all(&self.reader)
            .await
    }

    /// The change sets of a session's turns that changed something, the earliest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn change_sets_of_session(
        &self,
        workspace: WorkspaceId,
        session: SessionId,
    ) -> Result<Vec<change_set::Model>, DbErr> {
        finished(workspace)
            .filter(change_set::Column::SessionId.eq(session.0))
            .filter(change_set::Column::Kind.eq("turn"))
            .filter(change_set::Column::FileCount.gt(0))
            .order_by_asc(change_set::Column::CreateTime)
            .order_by_asc(change_set::Column::Id)
            .all(&self.reader)
            .await
    }

    /// Every manifest that a workspace's change sets name, so that its contents are kept.
    ///
    /// # Errors
    /// The database's own.
    pub async fn changed_manifests(&self, workspace: WorkspaceId) -> Result<Vec<String>, DbErr> {
        let rows: Vec<(String, Option<String>, String, String)> = change_set::Entity::find()
            .select_only()
            .column(change_set::Column::BeforeManifest)
            .column(change_set::Column::AfterManifest)
            .column(change_set::Column::BeforePart)
            .column(change_set::Column::AfterPart)
            .filter(change_set::Column::WorkspaceId.eq(workspace.0))
            .into_tuple()
            .all(&self.reader)
            .await?;
        let named = rows
            .into_iter()
            .flat_map(|(before, after, old, new)| [Some(before), after, Some(old), Some(new)]);
        Ok(named.flatten().filter(|name| !name.is_empty()).collect())
    }
}

fn finished(workspace: WorkspaceId) -> Select<change_set::Entity> {
    change_set::Entity::find()
        .filter(change_set::Column::WorkspaceId.eq(workspace.0))
        .filter(change_set::Column::AfterManifest.is_not_null())
}

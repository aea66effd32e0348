//! Snapshot rows.

use membrane_entity::snapshot;
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select, sea_query::Expr,
};
use uuid::Uuid;

use super::{Database, older_than, requests, requests::RequestKey};
use crate::{
    clock::Millis,
    error::Error,
    id::{SnapshotId, WorkspaceId},
    page::Page,
};

impl Database {
    /// Inserts a snapshot, unless an earlier call with the same key did. Answers the one that is
    /// valid.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the key was used for something else; [`Error::NotFound`] when the
    /// snapshot that it made is gone.
    pub async fn insert_snapshot(
        &self,
        row: snapshot::Model,
        key: Option<RequestKey>,
    ) -> Result<snapshot::Model, Error> {
        let transaction = self.begin().await?;
        if let Some(key) = &key
            && let Some(earlier) = requests::earlier(&transaction, key).await?
        {
            let found = of_workspace(WorkspaceId(row.workspace_id))
                .filter(snapshot::Column::Id.eq(earlier))
                .one(&transaction)
                .await?;
            return found.ok_or(Error::NotFound("snapshot"));
        }
        snapshot::Entity::insert(row.clone().into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        if let Some(key) = &key {
            requests::remember(&transaction, key, row.id, row.create_time).await?;
        }
        transaction.commit().await?;
        Ok(row)
    }

    /// A snapshot of a workspace.
    ///
    /// # Errors
    /// The database's own.
    pub async fn snapshot(
        &self,
        workspace: WorkspaceId,
        id: SnapshotId,
    ) -> Result<Option<snapshot::Model>, DbErr> {
        of_workspace(workspace)
            .filter(snapshot::Column::Id.eq(id.0))
            .one(&self.reader)
            .await
    }

    /// One page of a workspace's snapshots, the latest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list_snapshots(
        &self,
        workspace: WorkspaceId,
        page: &Page,
    ) -> Result<Vec<snapshot::Model>, DbErr> {
        let mut query = of_workspace(workspace);
        if let Some(place) = page.after {
            query = query.filter(older_than(
                snapshot::Column::CreateTime,
                snapshot::Column::Id,
                place,
            ));
        }
        query
            .order_by_desc(snapshot::Column::CreateTime)
            .order_by_desc(snapshot::Column::Id)
            .limit(page.fetch())
            .all(&self.reader)
            .await
    }

    /// Changes what is given of a snapshot; answers whether it is there.
    ///
    /// # Errors
    /// The database's own.
    pub async fn update_snapshot(
        &self,
        workspace: WorkspaceId,
        id: SnapshotId,
        title: Option<String>,
        pinned: Option<bool>,
    ) -> Result<bool, DbErr> {
        let mut update = snapshot::Entity::update_many()
            // So that there is always something to set.
            .col_expr(snapshot::Column::Id, Expr::value(id.0))
            .filter(snapshot::Column::WorkspaceId.eq(workspace.0))
            .filter(snapshot::Column::Id.eq(id.0));
        if let Some(title) = title {
            update = update.col_expr(snapshot::Column::Title, Expr::value(title));
        }
        if let Some(pinned) = pinned {
            update = update.col_expr(snapshot::Column::Pinned, Expr::value(pinned));
        }
        let transaction = self.begin().await?;
        let updated = update.exec(&transaction).await?;
        transaction.commit().await?;
        Ok(updated.rows_affected > 0)
    }

    /// Deletes a snapshot that is not pinned; answers whether there was one.
    ///
    /// # Errors
    /// The database's own.
    pub async fn delete_snapshot(
        &self,
        workspace: WorkspaceId,
        id: SnapshotId,
    ) -> Result<bool, DbErr> {
        let transaction = self.begin().await?;
        let deleted = snapshot::Entity::delete_many()
            .filter(snapshot::Column::WorkspaceId.eq(workspace.0))
            .filter(snapshot::Column::Id.eq(id.0))
            .filter(snapshot::Column::Pinned.eq(false))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected > 0)
    }

    /// Deletes the snapshots of a kind that were made before a time and are not pinned. Answers how
    /// many.
    ///
    /// # Errors
    /// The database's own.
    pub async fn expire_snapshots(&self, kind: &str, before: Millis) -> Result<u64, DbErr> {
        let transaction = self.begin().await?;
        let deleted = snapshot::Entity::delete_many()
            .filter(snapshot::Column::Kind.eq(kind))
            .filter(snapshot::Column::CreateTime.lt(before))
            .filter(snapshot::Column::Pinned.eq(false))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected)
    }

    /// Every manifest that a workspace's snapshots and unfinished runs name, so that its contents are
    /// kept, wherever that is.
    ///
    /// # Errors
    /// The database's own.
    pub async fn kept_manifests(&self, workspace: WorkspaceId) -> Result<Vec<String>, DbErr> {
        let mut kept: Vec<String> = of_workspace(workspace)
            .select_only()
            .column(snapshot::Column::Manifest)
            .into_tuple()
            .all(&self.reader)
            .await?;
        kept.extend(self.run_manifests(workspace).await?);
        Ok(kept)
    }

    /// The manifest of a workspace's latest snapshot.
    ///
    /// # Errors
    /// The database's own.
    pub async fn latest_snapshot_manifest(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Option<String>, DbErr> {
        of_workspace(workspace)
            .select_only()
            .column(snapshot::Column::Manifest)
            .order_by_desc(snapshot::Column::CreateTime)
            .order_by_desc(snapshot::Column::Id)
            .limit(1)
            .into_tuple()
            .one(&self.reader)
            .await
    }
}

fn of_workspace(workspace: WorkspaceId) -> Select<snapshot::Entity> {
    snapshot::Entity::find().filter(snapshot::Column::WorkspaceId.eq::<Uuid>(workspace.0))
}

//! Who may do what in which workspace.

use membrane_entity::{member, user, workspace};
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::OnConflict,
};

use super::{Database, locked};
use crate::{
    authz::Role,
    clock::Millis,
    error::Error,
    id::{SessionId, UserId, WorkspaceId},
    page::Page,
};

impl Database {
    /// A user's role in a workspace; `None` if they are no member or there is no such workspace.
    ///
    /// # Errors
    /// The database's own.
    pub async fn role(&self, user: UserId, workspace: WorkspaceId) -> Result<Option<Role>, DbErr> {
        let found = member::Entity::find_by_id((workspace.0, user.0))
            .one(&self.reader)
            .await?;
        Ok(found.and_then(|row| Role::parse(&row.role)))
    }

    /// The workspace of a session.
    ///
    /// # Errors
    /// The database's own.
    pub async fn workspace_of_session(
        &self,
        session: SessionId,
    ) -> Result<Option<WorkspaceId>, DbErr> {
        use membrane_entity::session;
        let id: Option<uuid::Uuid> = session::Entity::find_by_id(session.0)
            .select_only()
            .column(session::Column::WorkspaceId)
            .into_tuple()
            .one(&self.reader)
            .await?;
        Ok(id.map(WorkspaceId))
    }

    /// Everybody who may work in a workspace: its editors and owners.
    ///
    /// # Errors
    /// The database's own.
    pub async fn workers(&self, workspace: WorkspaceId) -> Result<Vec<UserId>, DbErr> {
        let rows = member::Entity::find()
            .filter(member::Column::WorkspaceId.eq(workspace.0))
            .all(&self.reader)
            .await?;
        let works =
            |row: &member::Model| Role::parse(&row.role).is_some_and(|role| role >= Role::Editor);
        let workers = rows.into_iter().filter(works);
        Ok(workers.map(|row| UserId(row.user_id)).collect())
    }

    /// One page of a workspace's members by user id, with their names.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list_members(
        &self,
        workspace: WorkspaceId,
        page: &Page,
    ) -> Result<Vec<(member::Model, String)>, DbErr> {
        let mut query = member::Entity::find().filter(member::Column::WorkspaceId.eq(workspace.0));
        if let Some(after) = page.after {
            query = query.filter(member::Column::UserId.gt(after.id));
        }
        let rows = query
            .order_by_asc(member::Column::UserId)
            .limit(page.fetch())
            .all(&self.reader)
            .await?;
        let names: std::collections::HashMap<_, _> = user::Entity::find()
            .filter(user::Column::Id.is_in(rows.iter().map(|row| row.user_id)))
            .all(&self.reader)
            .await?
            .into_iter()
            .map(|user| (user.id, user.name))
            .collect();
        Ok(rows
            .into_iter()
            .map(|row| {
                let name = names.get(&row.user_id).cloned().unwrap_or_default();
                (row, name)
            })
            .collect())
    }

    /// Adds a member or changes a role.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown user; [`Error::Precondition`] when no owner would be
    /// left.
    pub async fn set_member(
        &self,
        workspace: WorkspaceId,
        user_id: UserId,
        role: Role,
        now: Millis,
    ) -> Result<(member::Model, String), Error> {
        let transaction = self.begin().await?;
        let Some(user) = user::Entity::find_by_id(user_id.0)
            .one(&transaction)
            .await?
        else {
            return Err(Error::NotFound("user"));
        };
        lock_workspace(&transaction, workspace).await?;
        insert_member(&transaction, workspace, user_id, role, now).await?;
        keep_an_owner(&transaction, workspace).await?;
        let stored = member::Entity::find_by_id((workspace.0, user_id.0))
            .one(&transaction)
            .await?
            .ok_or(Error::NotFound("member"))?;
        transaction.commit().await?;
        Ok((stored, user.name))
    }

    /// Removes a member.
    ///
    /// # Errors
    /// [`Error::NotFound`] for no such member; [`Error::Precondition`] when no owner would be
    /// left.
    pub async fn remove_member(
        &self,
        workspace: WorkspaceId,
        user_id: UserId,
    ) -> Result<(), Error> {
        let transaction = self.begin().await?;
        lock_workspace(&transaction, workspace).await?;
        let deleted = member::Entity::delete_by_id((workspace.0, user_id.0))
            .exec(&transaction)
            .await?;
        if deleted.rows_affected == 0 {
            return Err(Error::NotFound("member"));
        }
        keep_an_owner(&transaction, workspace).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Whether there is such a workspace, whoever may see it.
    ///
    /// # Errors
    /// The database's own.
    pub async fn workspace_exists(&self, id: WorkspaceId) -> Result<bool, DbErr> {
        let count = workspace::Entity::find_by_id(id.0)
            .count(&self.reader)
            .await?;
        Ok(count > 0)
    }
}

/// Adds a member in the caller's transaction, or changes the role of one.
pub(super) async fn insert_member(
    transaction: &DatabaseTransaction,
    workspace: WorkspaceId,
    user_id: UserId,
    role: Role,
    now: Millis,
) -> Result<(), DbErr> {
    let row = member::Model {
        workspace_id: workspace.0,
        user_id: user_id.0,
        role: role.as_str().to_owned(),
        create_time: now,
    };
    member::Entity::insert(row.into_active_model())
        .on_conflict(
            OnConflict::columns([member::Column::WorkspaceId, member::Column::UserId])
                .update_column(member::Column::Role)
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

/// Makes other changes of the same workspace wait.
pub(super) async fn lock_workspace(
    transaction: &DatabaseTransaction,
    workspace: WorkspaceId,
) -> Result<(), DbErr> {
    let row = locked(workspace::Entity::find_by_id(workspace.0));
    row.one(transaction).await.map(drop)
}

async fn keep_an_owner(
    transaction: &DatabaseTransaction,
    workspace: WorkspaceId,
) -> Result<(), Error> {
    let owners = member::Entity::find()
        .filter(member::Column::WorkspaceId.eq(workspace.0))
        .filter(member::Column::Role.eq(Role::Owner.as_str()))
        .count(transaction)
        .await?;
    if owners > 0 {
        return Ok(());
    }
    Err(Error::Precondition {
        reason: "LAST_OWNER",
        message: "the workspace would be left without an owner".to_owned(),
    })
}

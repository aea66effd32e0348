//! Sealed provider keys.

use membrane_entity::{direct_provider_key, provider_key};
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _,
    sea_query::{Expr, OnConflict},
};

use super::Database;
use crate::{clock::Millis, id::WorkspaceId};

/// What is stored of a provider's key.
pub type SealedKey = provider_key::Model;

impl Database {
    /// Stores or replaces a key.
    ///
    /// # Errors
    /// The database's own.
    pub async fn set_provider_key(&self, key: SealedKey) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        delete_direct(&transaction, WorkspaceId(key.workspace_id), &key.provider).await?;
        provider_key::Entity::insert(key.into_active_model())
            .on_conflict(
                OnConflict::columns([
                    provider_key::Column::WorkspaceId,
                    provider_key::Column::Provider,
                ])
                .update_columns([
                    provider_key::Column::DataKeyId,
                    provider_key::Column::Sealed,
                    provider_key::Column::CreateTime,
                    provider_key::Column::LastUseTime,
                ])
                .to_owned(),
            )
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await
    }

    /// The key of a workspace for a provider.
    ///
    /// # Errors
    /// The database's own.
    pub async fn provider_key(
        &self,
        workspace: WorkspaceId,
        provider: &str,
    ) -> Result<Option<SealedKey>, DbErr> {
        provider_key::Entity::find_by_id((workspace.0, provider.to_owned()))
            .one(&self.reader)
            .await
    }

    /// All keys of a workspace.
    ///
    /// # Errors
    /// The database's own.
    pub async fn provider_keys(&self, workspace: WorkspaceId) -> Result<Vec<SealedKey>, DbErr> {
        provider_key::Entity::find()
            .filter(provider_key::Column::WorkspaceId.eq(workspace.0))
            .order_by_asc(provider_key::Column::Provider)
            .all(&self.reader)
            .await
    }

    /// Deletes a key; succeeds if there is none.
    ///
    /// # Errors
    /// The database's own.
    pub async fn delete_provider_key(
        &self,
        workspace: WorkspaceId,
        provider: &str,
    ) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        delete_direct(&transaction, workspace, provider).await?;
        provider_key::Entity::delete_by_id((workspace.0, provider.to_owned()))
            .exec(&transaction)
            .await?;
        transaction.commit().await
    }

    /// Notes that a key was used.
    ///
    /// # Errors
    /// The database's own.
    pub async fn touch_provider_key(
        &self,
        workspace: WorkspaceId,
        provider: &str,
        now: Millis,
    ) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        provider_key::Entity::update_many()
            .col_expr(provider_key::Column::LastUseTime, Expr::value(now))
            .filter(provider_key::Column::WorkspaceId.eq(workspace.0))
            .filter(provider_key::Column::Provider.eq(provider))
            .exec(&transaction)
            .await?;
        transaction.commit().await
    }
}

/// Keys that a master key has sealed itself, as earlier versions did.
impl Database {
    /// All of them.
    ///
    /// # Errors
    /// The database's own.
    pub async fn direct_provider_keys(&self) -> Result<Vec<direct_provider_key::Model>, DbErr> {
        direct_provider_key::Entity::find().all(&self.reader).await
    }

    /// Stores one, as earlier versions did.
    #[cfg(test)]
    pub(crate) async fn insert_direct_provider_key(
        &self,
        key: direct_provider_key::Model,
    ) -> Result<(), DbErr> {
        direct_provider_key::Entity::insert(key.into_active_model())
            .exec_without_returning(&self.writer)
            .await?;
        Ok(())
    }

    /// Puts the key, sealed anew, in the place of the direct one, unless that is gone by now.
    ///
    /// # Errors
    /// The database's own; then it is as before.
    pub async fn adopt_provider_key(&self, key: SealedKey) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        let workspace = WorkspaceId(key.workspace_id);
        if delete_direct(&transaction, workspace, &key.provider).await? == 0 {
            return Ok(());
        }
        provider_key::Entity::insert(key.into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await
    }
}

async fn delete_direct(
    transaction: &DatabaseTransaction,
    workspace: WorkspaceId,
    provider: &str,
) -> Result<u64, DbErr> {
    let deleted = direct_provider_key::Entity::delete_by_id((workspace.0, provider.to_owned()))
        .exec(transaction)
        .await?;
    Ok(deleted.rows_affected)
}

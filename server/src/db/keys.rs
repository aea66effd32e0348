//! Sealed provider keys, and the vault's own check.

use membrane_entity::{provider_key, vault_check};
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _,
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
        provider_key::Entity::insert(key.into_active_model())
            .on_conflict(
                OnConflict::columns([
                    provider_key::Column::WorkspaceId,
                    provider_key::Column::Provider,
                ])
                .update_columns([
                    provider_key::Column::MasterVersion,
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

    /// Whether anything is stored that only the master key can open.
    ///
    /// # Errors
    /// The database's own.
    pub async fn has_sealed_values(&self) -> Result<bool, DbErr> {
        let checks = vault_check::Entity::find().count(&self.reader).await?;
        let keys = provider_key::Entity::find().count(&self.reader).await?;
        Ok(checks + keys > 0)
    }

    /// The known text, sealed with each master key that was ever used here: (version, sealed).
    ///
    /// # Errors
    /// The database's own.
    pub async fn vault_checks(&self) -> Result<Vec<(i32, Vec<u8>)>, DbErr> {
        let rows = vault_check::Entity::find().all(&self.reader).await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.master_version, row.sealed))
            .collect())
    }

    /// Stores the known text sealed with a master key.
    ///
    /// # Errors
    /// The database's own.
    pub async fn insert_vault_check(
        &self,
        master_version: i32,
        sealed: Vec<u8>,
    ) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        vault_check::Entity::insert(
            vault_check::Model {
                master_version,
                sealed,
            }
            .into_active_model(),
        )
        .exec_without_returning(&transaction)
        .await?;
        transaction.commit().await
    }
}

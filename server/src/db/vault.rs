//! Data keys, the rotations of the master key, and the text by which a master key is recognised.

use std::collections::BTreeMap;

use membrane_entity::{data_key, direct_provider_key, key_rotation, user_secret, vault_check};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{Database, serialise};
use crate::{clock::Millis, vault::Owner};

/// What beginning a rotation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationStart {
    /// A new one has begun.
    Begun,
    /// One to this version had begun and not ended.
    Resumed,
    /// This version encrypts already.
    Current,
    /// One to another version has begun and not ended.
    OtherOpen(i32),
}

impl Database {
    /// A data key by its id.
    ///
    /// # Errors
    /// The database's own.
    pub async fn data_key(&self, id: Uuid) -> Result<Option<data_key::Model>, DbErr> {
        data_key::Entity::find_by_id(id).one(&self.reader).await
    }

    /// The data key of an owner.
    ///
    /// # Errors
    /// The database's own.
    pub async fn data_key_of(&self, owner: Owner) -> Result<Option<data_key::Model>, DbErr> {
        find(&self.reader, owner).await
    }

    /// Stores an owner's data key, which `make` wraps with the master key of the version that it is
    /// given. Answers the earlier one if there is one by now.
    ///
    /// # Errors
    /// The database's own, and those of `make`.
    pub async fn create_data_key<E: From<DbErr>>(
        &self,
        owner: Owner,
        make: impl FnOnce(i32) -> Result<data_key::Model, E>,
    ) -> Result<data_key::Model, E> {
        let transaction = self.begin_in_vault().await?;
        if let Some(earlier) = find(&transaction, owner).await? {
            return Ok(earlier);
        }
        let version = newest(&transaction).await?.map(|row| row.master_version);
        let version = version.ok_or_else(|| {
            DbErr::Custom("no version of the master key is noted as the encrypting one".to_owned())
        })?;
        let row = make(version)?;
        data_key::Entity::insert(row.clone().into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(row)
    }

    /// A transaction beside which no other changes data keys or which version encrypts.
    async fn begin_in_vault(&self) -> Result<DatabaseTransaction, DbErr> {
        let transaction = self.begin().await?;
        serialise(&transaction, "vault").await?;
        Ok(transaction)
    }

    /// Whether anything is stored that only the master key can open.
    ///
    /// # Errors
    /// The database's own.
    pub async fn has_sealed_values(&self) -> Result<bool, DbErr> {
        let checks = vault_check::Entity::find().count(&self.reader).await?;
        let secrets = user_secret::Entity::find().count(&self.reader).await?;
        Ok(checks + secrets > 0 || !self.master_versions().await?.is_empty())
    }

    /// Which versions of the master key something is encrypted with, and how many things.
    ///
    /// # Errors
    /// The database's own.
    pub async fn master_versions(&self) -> Result<BTreeMap<i32, u64>, DbErr> {
        let data_keys: Vec<i32> = data_key::Entity::find()
            .select_only()
            .column(data_key::Column::MasterVersion)
            .into_tuple()
            .all(&self.reader)
            .await?;
        let direct: Vec<i32> = direct_provider_key::Entity::find()
            .select_only()
            .column(direct_provider_key::Column::MasterVersion)
            .into_tuple()
            .all(&self.reader)
            .await?;
        let mut counts = BTreeMap::new();
        for version in data_keys.into_iter().chain(direct) {
            *counts.entry(version).or_default() += 1;
        }
        Ok(counts)
    }

    /// The known text, sealed with each master key that is in use here: (version, sealed).
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

    /// The newest rotation: its version encrypts. `None` before the first start with one.
    ///
    /// # Errors
    /// The database's own.
    pub async fn newest_rotation(&self) -> Result<Option<key_rotation::Model>, DbErr> {
        newest(&self.reader).await
    }

    /// Notes the version that encrypts, unless a version is noted.
    ///
    /// # Errors
    /// The database's own.
    pub async fn note_first_version(
        &self,
        master_version: i32,
        check: Vec<u8>,
        now: Millis,
    ) -> Result<(), DbErr> {
        let transaction = self.begin_in_vault().await?;
        if newest(&transaction).await?.is_some() {
            return Ok(());
        }
        insert(&transaction, master_version, check, now, Some(now)).await?;
        transaction.commit().await
    }

    /// Begins a rotation, or finds the one that has begun.
    ///
    /// # Errors
    /// The database's own.
    pub async fn begin_rotation(
        &self,
        master_version: i32,
        check: Vec<u8>,
        now: Millis,
    ) -> Result<RotationStart, DbErr> {
        let transaction = self.begin_in_vault().await?;
        if let Some(row) = newest(&transaction).await? {
            match (row.end_time, row.master_version == master_version) {
                (None, true) => return Ok(RotationStart::Resumed),
                (None, false) => return Ok(RotationStart::OtherOpen(row.master_version)),
                (Some(_), true) => return Ok(RotationStart::Current),
                (Some(_), false) => {}
            }
        }
        insert(&transaction, master_version, check, now, None).await?;
        transaction.commit().await?;
        Ok(RotationStart::Begun)
    }

    /// Data keys that another version than this one has wrapped, at most `limit`.
    ///
    /// # Errors
    /// The database's own.
    pub async fn data_keys_not_of(
        &self,
        master_version: i32,
        limit: u64,
    ) -> Result<Vec<data_key::Model>, DbErr> {
        data_key::Entity::find()
            .filter(data_key::Column::MasterVersion.ne(master_version))
            .limit(limit)
            .all(&self.reader)
            .await
    }

    /// Stores data keys that were wrapped anew in one commit, each beside the version that it must
    /// still have. What is gone or has another version by now is left alone.
    ///
    /// # Errors
    /// The database's own; then none is stored.
    pub async fn store_wrapped(&self, rows: Vec<(i32, data_key::Model)>) -> Result<(), DbErr> {
        let transaction = self.begin_in_vault().await?;
        for (before, row) in rows {
            data_key::Entity::update_many()
                .col_expr(
                    data_key::Column::MasterVersion,
                    Expr::value(row.master_version),
                )
                .col_expr(data_key::Column::Wrapped, Expr::value(row.wrapped))
                .filter(data_key::Column::Id.eq(row.id))
                .filter(data_key::Column::MasterVersion.eq(before))
                .exec(&transaction)
                .await?;
        }
        transaction.commit().await
    }

    /// Ends the rotation to this version if nothing is left of another one; from then on no other
    /// key is asked for. Answers whether that is so.
    ///
    /// # Errors
    /// The database's own.
    pub async fn finish_rotation(&self, master_version: i32, now: Millis) -> Result<bool, DbErr> {
        let transaction = self.begin_in_vault().await?;
        let left = data_key::Entity::find()
            .filter(data_key::Column::MasterVersion.ne(master_version))
            .one(&transaction)
            .await?;
        let direct = direct_provider_key::Entity::find()
            .one(&transaction)
            .await?;
        if left.is_some() || direct.is_some() {
            return Ok(false);
        }
        vault_check::Entity::delete_many()
            .filter(vault_check::Column::MasterVersion.ne(master_version))
            .exec(&transaction)
            .await?;
        let open = newest(&transaction)
            .await?
            .filter(|row| row.end_time.is_none() && row.master_version == master_version);
        if let Some(row) = open {
            let mut change = row.into_active_model();
            change.end_time = Set(Some(now));
            change.update(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }
}

async fn find(
    connection: &impl ConnectionTrait,
    owner: Owner,
) -> Result<Option<data_key::Model>, DbErr> {
    let is_owner = match owner {
        Owner::Workspace(id) => data_key::Column::WorkspaceId.eq(id.0),
        Owner::User(id) => data_key::Column::UserId.eq(id.0),
    };
    data_key::Entity::find()
        .filter(is_owner)
        .one(connection)
        .await
}

async fn newest(connection: &impl ConnectionTrait) -> Result<Option<key_rotation::Model>, DbErr> {
    key_rotation::Entity::find()
        .order_by_desc(key_rotation::Column::Id)
        .one(connection)
        .await
}

async fn insert(
    transaction: &DatabaseTransaction,
    master_version: i32,
    check: Vec<u8>,
    begin_time: Millis,
    end_time: Option<Millis>,
) -> Result<(), DbErr> {
    let rotation = key_rotation::ActiveModel {
        master_version: Set(master_version),
        begin_time: Set(begin_time),
        end_time: Set(end_time),
        ..Default::default()
    };
    key_rotation::Entity::insert(rotation)
        .exec_without_returning(transaction)
        .await?;
    let check = vault_check::Model {
        master_version,
        sealed: check,
    };
    vault_check::Entity::insert(check.into_active_model())
        .on_conflict(
            OnConflict::column(vault_check::Column::MasterVersion)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

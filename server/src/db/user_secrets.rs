//! Users' secrets, sealed.

use membrane_entity::user_secret;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait,
    DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};

use super::{Database, requests, requests::RequestKey, serialise};
use crate::{error::Error, id::UserId};

/// How much one user may store.
#[derive(Debug, Clone, Copy)]
pub struct SecretLimits {
    /// Number of secrets.
    pub secrets: usize,
    /// Bytes of all values together.
    pub bytes: i64,
}

impl Database {
    /// Stores a new secret, or finds what an earlier call with this key made.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] for a name that is taken; [`Error::Exhausted`] beyond the limits.
    pub async fn create_secret(
        &self,
        row: user_secret::Model,
        limits: SecretLimits,
        key: RequestKey,
    ) -> Result<user_secret::Model, Error> {
        let user = UserId(row.user_id);
        let transaction = self.begin().await?;
        if let Some(earlier) = requests::earlier(&transaction, &key).await? {
            let found = user_secret::Entity::find_by_id(earlier)
                .one(&transaction)
                .await?;
            return found.ok_or(Error::NotFound("secret"));
        }
        serialise(&transaction, &secrets_of(user)).await?;
        if find(&transaction, user, &row.name).await?.is_some() {
            return Err(Error::AlreadyExists("a secret of this name".into()));
        }
        user_secret::Entity::insert(row.clone().into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        refuse_excess(&transaction, user, limits).await?;
        requests::remember(&transaction, &key, row.id, row.create_time).await?;
        transaction.commit().await?;
        Ok(row)
    }

    /// A user's secret by its name.
    ///
    /// # Errors
    /// The database's own.
    pub async fn secret(
        &self,
        user: UserId,
        name: &str,
    ) -> Result<Option<user_secret::Model>, DbErr> {
        find(&self.reader, user, name).await
    }

    /// All secrets of some users.
    ///
    /// # Errors
    /// The database's own.
    pub async fn secrets_of(&self, users: &[UserId]) -> Result<Vec<user_secret::Model>, DbErr> {
        user_secret::Entity::find()
            .filter(user_secret::Column::UserId.is_in(users.iter().map(|user| user.0)))
            .all(&self.reader)
            .await
    }

    /// A user's secrets by name, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list_secrets(
        &self,
        user: UserId,
        after: &str,
        limit: u64,
    ) -> Result<Vec<user_secret::Model>, DbErr> {
        user_secret::Entity::find()
            .filter(user_secret::Column::UserId.eq(user.0))
            .filter(user_secret::Column::Name.gt(after))
            .order_by_asc(user_secret::Column::Name)
            .limit(limit)
            .all(&self.reader)
            .await
    }

    /// Puts a secret's new value in the place of its earlier one.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is gone by now; [`Error::Exhausted`] beyond the limits.
    pub async fn rotate_secret(
        &self,
        row: user_secret::Model,
        limits: SecretLimits,
    ) -> Result<user_secret::Model, Error> {
        let user = UserId(row.user_id);
        let transaction = self.begin().await?;
        serialise(&transaction, &secrets_of(user)).await?;
        let Some(found) = user_secret::Entity::find_by_id(row.id)
            .one(&transaction)
            .await?
        else {
            return Err(Error::NotFound("secret"));
        };
        let mut change = found.into_active_model();
        change.data_key_id = Set(row.data_key_id);
        change.sealed = Set(row.sealed);
        change.value_bytes = Set(row.value_bytes);
        change.is_redacted = Set(row.is_redacted);
        change.update_time = Set(row.update_time);
        let changed = change.update(&transaction).await?;
        refuse_excess(&transaction, user, limits).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Deletes a user's secret.
    ///
    /// # Errors
    /// [`Error::NotFound`] if they have none of this name.
    pub async fn delete_secret(&self, user: UserId, name: &str) -> Result<(), Error> {
        let transaction = self.begin().await?;
        let deleted = user_secret::Entity::delete_many()
            .filter(user_secret::Column::UserId.eq(user.0))
            .filter(user_secret::Column::Name.eq(name))
            .exec(&transaction)
            .await?;
        if deleted.rows_affected == 0 {
            return Err(Error::NotFound("secret"));
        }
        transaction.commit().await?;
        Ok(())
    }
}

async fn find(
    connection: &impl ConnectionTrait,
    user: UserId,
    name: &str,
) -> Result<Option<user_secret::Model>, DbErr> {
    user_secret::Entity::find()
        .filter(user_secret::Column::UserId.eq(user.0))
        .filter(user_secret::Column::Name.eq(name))
        .one(connection)
        .await
}

/// What whoever stores a secret serialises on: a user's are limited together.
fn secrets_of(user: UserId) -> String {
    format!("secrets/{user}")
}

/// Looks at what is stored in the transaction, which is dropped when that is too much.
async fn refuse_excess(
    transaction: &DatabaseTransaction,
    user: UserId,
    limits: SecretLimits,
) -> Result<(), Error> {
    let sizes: Vec<i32> = user_secret::Entity::find()
        .select_only()
        .column(user_secret::Column::ValueBytes)
        .filter(user_secret::Column::UserId.eq(user.0))
        .into_tuple()
        .all(transaction)
        .await?;
    let bytes: i64 = sizes.iter().map(|bytes| i64::from(*bytes)).sum();
    if sizes.len() <= limits.secrets && bytes <= limits.bytes {
        return Ok(());
    }
    Err(Error::Exhausted {
        reason: "TOO_MANY_SECRETS",
        message: format!(
            "a user may have {} secrets, whose values have {} bytes together; delete one first",
            limits.secrets, limits.bytes
        ),
    })
}

//! Request ids: a repeated creating call returns what the first one made (AIP-155).

use membrane_entity::request_id;
use sea_orm::{DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _};
use uuid::Uuid;

use super::serialise;
use crate::{clock::Millis, error::Error, id::UserId};

/// A creating call that may be repeated.
#[derive(Debug, Clone, Copy)]
pub struct RequestKey {
    /// Who calls.
    pub user_id: UserId,
    /// The id they chose; `None` when they gave none.
    pub request_id: Option<Uuid>,
    /// The method's name.
    pub method: &'static str,
}

/// What an earlier call with this key made.
///
/// # Errors
/// [`Error::Invalid`] when the id was used with another method.
pub(super) async fn earlier(
    transaction: &DatabaseTransaction,
    key: &RequestKey,
) -> Result<Option<Uuid>, Error> {
    let Some(request_id) = key.request_id else {
        return Ok(None);
    };
    // An equal call that is under way comes first.
    let name = format!("requests/{}/{request_id}", key.user_id);
    serialise(transaction, &name).await?;
    let found = request_id::Entity::find_by_id((key.user_id.0, request_id))
        .one(transaction)
        .await?;
    match found {
        Some(row) if row.method != key.method => Err(Error::invalid(
            "request_id",
            "was used with another method; choose a new one",
        )),
        found => Ok(found.map(|row| row.resource_id)),
    }
}

/// Remembers what this call makes.
pub(super) async fn remember(
    transaction: &DatabaseTransaction,
    key: &RequestKey,
    resource_id: Uuid,
    now: Millis,
) -> Result<(), DbErr> {
    let Some(request_id) = key.request_id else {
        return Ok(());
    };
    let row = request_id::Model {
        user_id: key.user_id.0,
        request_id,
        method: key.method.to_owned(),
        resource_id,
        create_time: now,
    };
    request_id::Entity::insert(row.into_active_model())
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

//! Permission requests: rows, so that an answer is given once, whoever gives it first.

use membrane_entity::permission_request;
use membrane_proto::v1::Event;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, DbErr, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _,
};

use super::{
    Database,
    events::{self, NewEvent},
    locked, turns,
};
use crate::{
    clock::Millis,
    error::Error,
    id::{PermissionRequestId, SessionId, TurnId, UserId},
};

impl Database {
    /// Stores a request with the event that asks.
    ///
    /// # Errors
    /// [`Error::Precondition`] with TURN_ENDED when another server has ended its turn.
    pub async fn create_permission_request(
        &self,
        row: permission_request::Model,
        asked: NewEvent,
    ) -> Result<Vec<Event>, Error> {
        let now = row.create_time;
        let transaction = self.begin().await?;
        turns::lock_open(&transaction, row.turn_id).await?;
        permission_request::Entity::insert(row.into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        let events = events::insert(&transaction, vec![asked], now).await?;
        transaction.commit().await?;
        Ok(events)
    }

    /// The request of this id, if it is of this session.
    ///
    /// # Errors
    /// The database's own.
    pub async fn permission_request(
        &self,
        session: SessionId,
        id: PermissionRequestId,
    ) -> Result<Option<permission_request::Model>, DbErr> {
        let found = permission_request::Entity::find_by_id(id.0)
            .one(&self.reader)
            .await?;
        Ok(found.filter(|row| row.session_id == session.0))
    }

    /// Stores an answer with its event.
    ///
    /// # Errors
    /// [`Error::Precondition`] with PERMISSION_ALREADY_RESOLVED unless it was pending.
    pub async fn resolve_permission_request(
        &self,
        id: PermissionRequestId,
        state: &'static str,
        resolver: UserId,
        resolved: NewEvent,
        now: Millis,
    ) -> Result<Vec<Event>, Error> {
        let transaction = self.begin().await?;
        let found = locked(permission_request::Entity::find_by_id(id.0))
            .one(&transaction)
            .await?;
        let Some(row) = found.filter(|row| row.state == "pending") else {
            return Err(Error::Precondition {
                reason: "PERMISSION_ALREADY_RESOLVED",
                message: "this request has an answer, or its turn has ended".to_owned(),
            });
        };
        let mut change = row.into_active_model();
        change.state = Set(state.to_owned());
        change.resolver_user_id = Set(Some(resolver.0));
        change.resolve_time = Set(Some(now));
        change.update(&transaction).await?;
        let events = events::insert(&transaction, vec![resolved], now).await?;
        transaction.commit().await?;
        Ok(events)
    }

    /// Requests of a turn that nobody has answered.
    ///
    /// # Errors
    /// The database's own.
    pub async fn pending_permission_requests(
        &self,
        turn: TurnId,
    ) -> Result<Vec<permission_request::Model>, DbErr> {
        permission_request::Entity::find()
            .filter(permission_request::Column::TurnId.eq(turn.0))
            .filter(permission_request::Column::State.eq("pending"))
            .all(&self.reader)
            .await
    }
}

//! Turn rows, and the transactions in which a turn and its events change together.

use membrane_entity::{permission_request, session, turn};
use membrane_proto::v1::{Event, Usage};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, Condition, DatabaseTransaction,
    DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    sea_query::Expr,
};

use super::{
    Database,
    events::{self, NewEvent},
    locked, members, requests,
    requests::RequestKey,
    servers, workspaces,
};
use crate::{
    clock::Millis,
    error::Error,
    id::{ServerId, SessionId, TurnId, WorkspaceId},
};

/// A turn to store.
#[derive(Debug)]
pub struct NewTurn {
    /// Its id.
    pub id: TurnId,
    /// Whose it is.
    pub session: SessionId,
    /// Which server works on it.
    pub server: ServerId,
    /// What it begins with.
    pub message: NewEvent,
    /// The name of its session if that has none.
    pub title: String,
}

/// What storing a message did.
#[derive(Debug)]
pub enum Stored {
    /// A new turn with its first event.
    New(Box<Event>),
    /// An earlier call with the same request id had made this turn.
    Earlier(TurnId, i64),
}

impl Database {
    /// Stores a message and its turn in one transaction, and names the session after the first.
    ///
    /// # Errors
    /// [`Error::Precondition`] with SESSION_BUSY while another turn is unfinished;
    /// [`Error::NotFound`] for no such session.
    pub async fn create_turn(
        &self,
        new: NewTurn,
        key: RequestKey,
        now: Millis,
    ) -> Result<Stored, Error> {
        let NewTurn { id, session, .. } = new;
        let transaction = self.begin().await?;
        if let Some(earlier) = requests::earlier(&transaction, &key).await? {
            return earlier_turn(&transaction, earlier, session).await;
        }
        let Some(row) = lock_session(&transaction, session.0).await? else {
            return Err(Error::NotFound("session"));
        };
        refuse_busy(&transaction, session).await?;
        let event = events::insert(&transaction, vec![new.message], now)
            .await?
            .pop()
            .ok_or_else(|| Error::Internal("an inserted event is missing".to_owned()))?;
        let turn = queued(id, session, new.server, event.sequence, now);
        turn::Entity::insert(turn.into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        touch(&transaction, row, Some(new.title), now).await?;
        requests::remember(&transaction, &key, id.0, now).await?;
        transaction.commit().await?;
        Ok(Stored::New(Box::new(event)))
    }

    /// Notes that a queued turn runs.
    ///
    /// # Errors
    /// [`Error::Precondition`] with TURN_ENDED when another server has ended it.
    pub async fn start_turn(
        &self,
        id: TurnId,
        started: NewEvent,
        now: Millis,
    ) -> Result<Vec<Event>, Error> {
        let transaction = self.begin().await?;
        let begun = turn::Entity::update_many()
            .col_expr(turn::Column::State, Expr::value("running"))
            .filter(turn::Column::Id.eq(id.0))
            .filter(turn::Column::State.eq("queued"))
            .exec(&transaction)
            .await?;
        if begun.rows_affected == 0 {
            return Err(ended());
        }
        let events = events::insert(&transaction, vec![started], now).await?;
        transaction.commit().await?;
        Ok(events)
    }

    /// Ends a turn with its last events; pending permission requests of it expire. Does nothing to one
    /// that has ended.
    ///
    /// # Errors
    /// The database's own.
    pub async fn end_turn(
        &self,
        id: TurnId,
        usage: &Usage,
        last: Vec<NewEvent>,
        now: Millis,
    ) -> Result<Vec<Event>, DbErr> {
        let transaction = self.begin().await?;
        let found = turn::Entity::find_by_id(id.0).one(&transaction).await?;
        let Some(found) = found else {
            return Ok(Vec::new());
        };
        let session = lock_session(&transaction, found.session_id).await?;
        let open = locked(turn::Entity::find_by_id(id.0))
            .filter(turn::Column::State.ne("ended"))
            .one(&transaction)
            .await?;
        let Some(row) = open else {
            return Ok(Vec::new());
        };
        end_row(&transaction, row, usage, now).await?;
        permission_request::Entity::update_many()
            .col_expr(permission_request::Column::State, Expr::value("expired"))
            .filter(permission_request::Column::TurnId.eq(id.0))
            .filter(permission_request::Column::State.eq("pending"))
            .exec(&transaction)
            .await?;
        let events = events::insert(&transaction, last, now).await?;
        if let Some(session) = session {
            touch(&transaction, session, None, now).await?;
        }
        transaction.commit().await?;
        Ok(events)
    }

    /// Unfinished turns of servers that are gone, oldest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn orphaned_turns(&self) -> Result<Vec<turn::Model>, DbErr> {
        let server = turn::Column::ServerId;
        let is_nobodys = Condition::any()
            .add(server.is_null())
            .add(server.not_in_subquery(servers::living()));
        turn::Entity::find()
            .filter(turn::Column::State.ne("ended"))
            .filter(is_nobodys)
            .order_by_asc(turn::Column::CreateTime)
            .all(&self.reader)
            .await
    }
}

/// A session in which something is about to change, and before it its workspace, which is told.
async fn lock_session(
    transaction: &DatabaseTransaction,
    id: uuid::Uuid,
) -> Result<Option<session::Model>, DbErr> {
    let found = session::Entity::find_by_id(id).one(transaction).await?;
    let Some(found) = found else {
        return Ok(None);
    };
    members::lock_workspace(transaction, WorkspaceId(found.workspace_id)).await?;
    locked(session::Entity::find_by_id(id))
        .one(transaction)
        .await
}

/// Makes the end of a turn wait.
///
/// # Errors
/// [`Error::Precondition`] with TURN_ENDED.
pub(super) async fn lock_open(
    transaction: &DatabaseTransaction,
    id: uuid::Uuid,
) -> Result<(), Error> {
    let open = locked(turn::Entity::find_by_id(id))
        .filter(turn::Column::State.ne("ended"))
        .one(transaction)
        .await?;
    match open {
        Some(_) => Ok(()),
        None => Err(ended()),
    }
}

fn ended() -> Error {
    Error::Precondition {
        reason: "TURN_ENDED",
        message: "this turn has ended".to_owned(),
    }
}

async fn earlier_turn(
    transaction: &DatabaseTransaction,
    id: uuid::Uuid,
    session_id: SessionId,
) -> Result<Stored, Error> {
    let found = turn::Entity::find_by_id(id).one(transaction).await?;
    match found.filter(|turn| turn.session_id == session_id.0) {
        Some(turn) => Ok(Stored::Earlier(TurnId(turn.id), turn.message_sequence)),
        None => Err(Error::invalid(
            "request_id",
            "was used in another session; choose a new one",
        )),
    }
}

async fn refuse_busy(
    transaction: &DatabaseTransaction,
    session_id: SessionId,
) -> Result<(), Error> {
    let open = turn::Entity::find()
        .filter(turn::Column::SessionId.eq(session_id.0))
        .filter(turn::Column::State.ne("ended"))
        .one(transaction)
        .await?;
    if open.is_none() {
        return Ok(());
    }
    Err(Error::Precondition {
        reason: "SESSION_BUSY",
        message: "this session's turn has not ended; wait for it or interrupt it".to_owned(),
    })
}

fn queued(
    id: TurnId,
    session_id: SessionId,
    server: ServerId,
    message_sequence: i64,
    now: Millis,
) -> turn::Model {
    turn::Model {
        id: id.0,
        session_id: session_id.0,
        state: "queued".to_owned(),
        create_time: now,
        end_time: None,
        message_sequence,
        input_tokens: 0,
        output_tokens: 0,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        cost_micro_usd: None,
        requests: 0,
        server_id: Some(server.0),
        interrupt_requested: false,
    }
}

async fn end_row(
    transaction: &DatabaseTransaction,
    row: turn::Model,
    usage: &Usage,
    now: Millis,
) -> Result<(), DbErr> {
    let mut change = row.into_active_model();
    change.state = Set("ended".to_owned());
    change.end_time = Set(Some(now));
    change.input_tokens = Set(usage.input_tokens);
    change.output_tokens = Set(usage.output_tokens);
    change.cache_creation_input_tokens = Set(usage.cache_creation_input_tokens);
    change.cache_read_input_tokens = Set(usage.cache_read_input_tokens);
    change.cost_micro_usd = Set(usage.cost_micro_usd);
    change.requests = Set(usage.requests);
    change.update(transaction).await?;
    Ok(())
}

async fn touch(
    transaction: &DatabaseTransaction,
    row: session::Model,
    title: Option<String>,
    now: Millis,
) -> Result<(), DbErr> {
    workspaces::touch(transaction, row.workspace_id, now).await?;
    let untitled = row.title.is_empty();
    let mut change = row.into_active_model();
    change.update_time = Set(now);
    if let Some(title) = title.filter(|_| untitled) {
        change.title = Set(title);
    }
    change.update(transaction).await?;
    Ok(())
}

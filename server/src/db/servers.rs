//! Rows of servers, and what belongs to one of them: turns, and workspaces that it holds.

use membrane_entity::{server, turn, workspace_hold};
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QuerySelect as _, QueryTrait as _, SqlErr,
    sea_query::{Expr, ExprTrait as _, OnConflict, SelectStatement},
};

use super::{Database, locked};
use crate::{
    clock::Millis,
    id::{ServerId, SessionId, TurnId, WorkspaceId},
};

/// The ids of servers that live, for all that is known.
pub(super) fn living() -> SelectStatement {
    server::Entity::find()
        .select_only()
        .column(server::Column::Id)
        .filter(server::Column::Beat.gte(0))
        .into_query()
}

/// The beat of a server that was taken over.
fn marked(mark: u32) -> i64 {
    -2 - i64::from(mark)
}

fn is_foreign_key(error: &DbErr) -> bool {
    matches!(
        error.sql_err(),
        Some(SqlErr::ForeignKeyConstraintViolation(_))
    )
}

impl Database {
    /// Makes a server known, and forgets what it held when it was known before.
    ///
    /// # Errors
    /// The database's own.
    pub async fn register_server(
        &self,
        id: ServerId,
        master_versions: String,
        now: Millis,
    ) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        server::Entity::delete_by_id(id.0)
            .exec(&transaction)
            .await?;
        let row = server::Model {
            id: id.0,
            beat: 0,
            master_versions,
            create_time: now,
        };
        server::Entity::insert(row.into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await
    }

    /// Makes what a server left belong to nobody; what all left, where there can be no other.
    ///
    /// # Errors
    /// The database's own.
    pub async fn retire_server(&self, id: ServerId) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        let mut retired =
            server::Entity::update_many().col_expr(server::Column::Beat, Expr::value(-1));
        if self.is_shared() {
            retired = retired.filter(server::Column::Id.eq(id.0));
        }
        retired.exec(&transaction).await?;
        transaction.commit().await
    }

    /// Forgets a server, and whatever it holds.
    ///
    /// # Errors
    /// The database's own.
    pub async fn remove_server(&self, id: ServerId) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        server::Entity::delete_by_id(id.0)
            .exec(&transaction)
            .await?;
        transaction.commit().await
    }

    /// Says that a server lives. Answers whether the others think so, too.
    ///
    /// # Errors
    /// The database's own.
    pub async fn beat(&self, id: ServerId) -> Result<bool, DbErr> {
        let transaction = self.begin().await?;
        let beat = server::Column::Beat;
        let updated = server::Entity::update_many()
            .col_expr(beat, Expr::col(beat).add(1))
            .filter(server::Column::Id.eq(id.0))
            .filter(beat.gte(0))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(updated.rows_affected > 0)
    }

    /// Notes which versions of the master key a server has.
    ///
    /// # Errors
    /// The database's own.
    pub async fn set_master_versions(
        &self,
        id: ServerId,
        master_versions: String,
    ) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        server::Entity::update_many()
            .col_expr(server::Column::MasterVersions, Expr::value(master_versions))
            .filter(server::Column::Id.eq(id.0))
            .exec(&transaction)
            .await?;
        transaction.commit().await
    }

    /// All servers that are known.
    ///
    /// # Errors
    /// The database's own.
    pub async fn servers(&self) -> Result<Vec<server::Model>, DbErr> {
        server::Entity::find().all(&self.reader).await
    }

    /// Forgets a server that was taken over with this mark, unless it is back by now.
    ///
    /// # Errors
    /// The database's own.
    pub async fn remove_taken(&self, id: ServerId, mark: u32) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        server::Entity::delete_by_id(id.0)
            .filter(server::Column::Beat.eq(marked(mark)))
            .exec(&transaction)
            .await?;
        transaction.commit().await
    }

    /// Turns of a server that have not ended.
    ///
    /// # Errors
    /// The database's own.
    pub async fn turns_of(&self, server: ServerId) -> Result<Vec<turn::Model>, DbErr> {
        turn::Entity::find()
            .filter(turn::Column::State.ne("ended"))
            .filter(turn::Column::ServerId.eq(server.0))
            .all(&self.reader)
            .await
    }

    /// Takes over what a server left that was seen with this beat and has the same still. Of several
    /// who try, each with a mark of its own, one is answered true; from now on the server itself knows
    /// that it is taken for dead.
    ///
    /// # Errors
    /// The database's own.
    pub async fn take_over(&self, seen: &server::Model, mark: u32) -> Result<bool, DbErr> {
        let transaction = self.begin().await?;
        let updated = server::Entity::update_many()
            .col_expr(server::Column::Beat, Expr::value(marked(mark)))
            .filter(server::Column::Id.eq(seen.id))
            .filter(server::Column::Beat.eq(seen.beat))
            .filter(server::Column::CreateTime.eq(seen.create_time))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(updated.rows_affected > 0)
    }

    /// Takes a workspace for a server; answers whether it has it now. Another server that has it is
    /// told that somebody waits.
    ///
    /// # Errors
    /// The database's own.
    pub async fn hold_workspace(
        &self,
        workspace: WorkspaceId,
        server: ServerId,
    ) -> Result<bool, DbErr> {
        let transaction = self.begin().await?;
        let row = workspace_hold::Model {
            workspace_id: workspace.0,
            server_id: server.0,
            wanted: false,
        };
        let inserted = workspace_hold::Entity::insert(row.into_active_model())
            .on_conflict(
                OnConflict::column(workspace_hold::Column::WorkspaceId)
                    .do_nothing()
                    .to_owned(),
            )
            .exec_without_returning(&transaction)
            .await;
        let inserted = match inserted {
            // The others took this server for dead a moment ago, or the workspace is gone.
            Err(error) if is_foreign_key(&error) => return Ok(false),
            inserted => inserted?,
        };
        if inserted == 0 {
            let others = workspace_hold::Entity::update_many()
                .col_expr(workspace_hold::Column::Wanted, Expr::value(true))
                .filter(workspace_hold::Column::WorkspaceId.eq(workspace.0))
                .filter(workspace_hold::Column::ServerId.ne(server.0))
                .exec(&transaction)
                .await?;
            transaction.commit().await?;
            return Ok(others.rows_affected == 0 && self.has_hold(workspace, server).await?);
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn has_hold(&self, workspace: WorkspaceId, server: ServerId) -> Result<bool, DbErr> {
        let row = workspace_hold::Entity::find_by_id(workspace.0)
            .one(&self.reader)
            .await?;
        Ok(row.is_some_and(|row| row.server_id == server.0))
    }

    /// Gives a workspace back; answers whether another server waits for it.
    ///
    /// # Errors
    /// The database's own.
    pub async fn release_workspace(
        &self,
        workspace: WorkspaceId,
        server: ServerId,
    ) -> Result<bool, DbErr> {
        let transaction = self.begin().await?;
        let held = locked(workspace_hold::Entity::find_by_id(workspace.0))
            .filter(workspace_hold::Column::ServerId.eq(server.0))
            .one(&transaction)
            .await?;
        if held.is_some() {
            workspace_hold::Entity::delete_by_id(workspace.0)
                .exec(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(held.is_some_and(|row| row.wanted))
    }

    /// Asks the server of a session's turn to stop it. Answers that turn, if there is one.
    ///
    /// # Errors
    /// The database's own.
    pub async fn request_interrupt(&self, session: SessionId) -> Result<Option<TurnId>, DbErr> {
        let transaction = self.begin().await?;
        let found = turn::Entity::find()
            .filter(turn::Column::SessionId.eq(session.0))
            .filter(turn::Column::State.ne("ended"))
            .one(&transaction)
            .await?;
        let Some(row) = found else {
            return Ok(None);
        };
        turn::Entity::update_many()
            .col_expr(turn::Column::InterruptRequested, Expr::value(true))
            .filter(turn::Column::Id.eq(row.id))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(TurnId(row.id)))
    }

    /// The number of the event with which a turn begins, 0 if it is gone.
    ///
    /// # Errors
    /// The database's own.
    pub async fn turn_begins(&self, id: TurnId) -> Result<i64, DbErr> {
        let row = turn::Entity::find_by_id(id.0).one(&self.reader).await?;
        Ok(row.map_or(0, |row| row.message_sequence))
    }

    /// Whether a turn has ended, or is gone.
    ///
    /// # Errors
    /// The database's own.
    pub async fn has_turn_ended(&self, id: TurnId) -> Result<bool, DbErr> {
        let row = turn::Entity::find_by_id(id.0).one(&self.reader).await?;
        Ok(row.is_none_or(|row| row.state == "ended"))
    }

    /// The sessions whose turns of this server are to be stopped.
    ///
    /// # Errors
    /// The database's own.
    pub async fn interrupted_sessions(&self, server: ServerId) -> Result<Vec<SessionId>, DbErr> {
        let rows = turn::Entity::find()
            .filter(turn::Column::State.ne("ended"))
            .filter(turn::Column::InterruptRequested.eq(true))
            .filter(turn::Column::ServerId.eq(server.0))
            .all(&self.reader)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| SessionId(row.session_id))
            .collect())
    }
}

//! One turn of a session: a message and what the agent did about it.

use sea_orm::entity::prelude::*;

/// One turn of a session: a message and what the agent did about it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "turns")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub session_id: Uuid,
    pub state: String,
    pub create_time: i64,
    pub end_time: Option<i64>,
    pub message_sequence: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_creation_input_tokens: i64,
    pub cache_read_input_tokens: i64,
    pub cost_micro_usd: Option<i64>,
    pub requests: i32,
    /// Whose it is; none of what was there before servers had ids.
    pub server_id: Option<Uuid>,
    /// Whether somebody asked another server to stop it.
    pub interrupt_requested: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::session::Entity",
        from = "Column::SessionId",
        to = "super::session::Column::Id"
    )]
    Session,
}

impl ActiveModelBehavior for ActiveModel {}

//! A tool call that waits, or waited, for an answer.

use sea_orm::entity::prelude::*;

/// A tool call that waits, or waited, for an answer.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "permission_requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub session_id: Uuid,
    pub turn_id: Uuid,
    pub tool_call_id: String,
    pub state: String,
    pub create_time: i64,
    pub resolver_user_id: Option<Uuid>,
    pub resolve_time: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

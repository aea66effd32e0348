//! What happened at the boundary of a workspace: events of its sessions, found by workspace.

use sea_orm::entity::prelude::*;

/// One event of a session that is part of its workspace's activity.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "activities")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub session_id: Uuid,
    pub sequence: i64,
    pub create_time: i64,
    pub kind: String,
    pub host: String,
    pub limited: bool,
    pub payload: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

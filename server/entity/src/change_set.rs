//! What a turn, or people before it, changed in a workspace's files.

use sea_orm::entity::prelude::*;

/// What a turn, or people before it, changed in a workspace's files.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "change_sets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub session_id: Uuid,
    pub turn_id: Uuid,
    pub kind: String,
    pub create_time: i64,
    pub before_manifest: String,
    pub after_manifest: Option<String>,
    pub before_part: String,
    pub after_part: String,
    pub skipped: String,
    pub file_count: i32,
    pub lines_added: i32,
    pub lines_removed: i32,
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

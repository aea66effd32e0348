//! A picture of a workspace's files.

use sea_orm::entity::prelude::*;

/// A picture of a workspace's files.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "snapshots")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub user_id: Option<Uuid>,
    pub kind: String,
    pub title: String,
    pub pinned: bool,
    pub create_time: i64,
    pub manifest: String,
    pub tree: String,
    pub file_count: i64,
    pub total_bytes: i64,
    pub skipped: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

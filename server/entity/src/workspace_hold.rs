//! Which server has an agent at work in a workspace, or something else that no agent may meet.

use sea_orm::entity::prelude::*;

/// Which server has an agent at work in a workspace, or something else that no agent may meet.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workspace_holds")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    pub server_id: Uuid,
    /// Whether another server waits for it.
    pub wanted: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! A provider's key, sealed with its workspace's data key and bound to this row.

use sea_orm::entity::prelude::*;

/// A provider's key, sealed with its workspace's data key and bound to this row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub provider: String,
    pub data_key_id: Uuid,
    pub sealed: Vec<u8>,
    pub create_time: i64,
    pub last_use_time: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

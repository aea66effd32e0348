//! A provider's key as it was sealed before there were data keys: by a master key itself.

use sea_orm::entity::prelude::*;

/// A provider's key as it was sealed before there were data keys: by a master key itself.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "direct_provider_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub provider: String,
    pub master_version: i32,
    pub sealed: Vec<u8>,
    pub create_time: i64,
    pub last_use_time: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! A workspace; `settings` is JSON.

use sea_orm::entity::prelude::*;

/// A workspace; `settings` is JSON.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workspaces")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub settings: String,
    pub version: i64,
    pub create_time: i64,
    pub update_time: i64,
    pub max_concurrent_runs: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

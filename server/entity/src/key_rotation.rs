//! A change of the master key: the newest says which version encrypts.

use sea_orm::entity::prelude::*;

/// A change of the master key: the newest says which version encrypts.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "key_rotations")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub master_version: i32,
    pub begin_time: i64,
    pub end_time: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

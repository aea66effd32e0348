//! A known text sealed with a master key, to recognise the right one.

use sea_orm::entity::prelude::*;

/// A known text sealed with a master key, to recognise the right one.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "vault_check")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub master_version: i32,
    pub sealed: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

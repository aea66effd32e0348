//! A named value of a user, sealed with their data key and bound to this row.

use sea_orm::entity::prelude::*;

/// A named value of a user, sealed with their data key and bound to this row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_secrets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub name: String,
    pub data_key_id: Uuid,
    pub sealed: Vec<u8>,
    pub value_bytes: i32,
    pub is_redacted: bool,
    pub create_time: i64,
    pub update_time: i64,
    pub last_use_time: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

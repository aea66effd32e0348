//! One entry of a stream; `payload` is an encoded `EventPayload`.

use sea_orm::entity::prelude::*;

/// One entry of a stream; `payload` is an encoded `EventPayload`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub stream: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    pub create_time: i64,
    pub turn_id: String,
    pub payload: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

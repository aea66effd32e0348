//! One decision about something that changes something.

use sea_orm::entity::prelude::*;

/// One decision about something that changes something.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub create_time: i64,
    pub user_id: Option<Uuid>,
    pub credential: String,
    pub operation: String,
    pub resource: String,
    pub outcome: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! A server that uses this database.

use sea_orm::entity::prelude::*;

/// A server that uses this database.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "servers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Counts up as long as it lives; negative while another server ends its turns.
    pub beat: i64,
    /// Versions of the master key that it has, separated by spaces.
    pub master_versions: String,
    pub create_time: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

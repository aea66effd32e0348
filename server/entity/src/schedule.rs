//! A cron rule that queues runs.

use sea_orm::entity::prelude::*;

/// A cron rule that queues runs.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "schedules")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub user_id: Option<Uuid>,
    pub title: String,
    pub cron: String,
    pub time_zone: String,
    pub spec: String,
    pub apply_mode: String,
    pub enabled: bool,
    pub disabled_reason: String,
    pub missed_policy: String,
    pub missed_limit: i32,
    pub overlap_policy: String,
    pub max_failures: i32,
    pub failures: i32,
    pub last_error: String,
    pub next_time: Option<i64>,
    pub last_slot_time: Option<i64>,
    pub version: i64,
    pub create_time: i64,
    pub by_agent: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

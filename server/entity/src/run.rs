//! A job for a runner.

use sea_orm::entity::prelude::*;

/// A job for a runner.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "runs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub user_id: Option<Uuid>,
    pub title: String,
    pub spec: String,
    pub base_snapshot_id: Uuid,
    pub base_manifest: String,
    pub priority: i32,
    pub max_attempts: i32,
    pub timeout: i64,
    pub apply_mode: String,
    pub state: String,
    pub attempt: i32,
    pub not_before: i64,
    pub cancel_requested: bool,
    pub runner_token_id: Option<Uuid>,
    pub runner_name: String,
    pub lease_digest: Option<Vec<u8>>,
    pub lease_expire_time: Option<i64>,
    pub deadline: Option<i64>,
    pub reported: i64,
    pub reason: String,
    pub message: String,
    pub result_snapshot_id: Option<Uuid>,
    pub apply_state: String,
    pub conflicts: String,
    pub create_time: i64,
    pub start_time: Option<i64>,
    pub end_time: Option<i64>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_creation_input_tokens: i64,
    pub cache_read_input_tokens: i64,
    pub cost_micro_usd: Option<i64>,
    pub requests: i32,
    pub schedule_id: Option<Uuid>,
    pub slot_time: Option<i64>,
    pub retry_of: Option<Uuid>,
    pub by_agent: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

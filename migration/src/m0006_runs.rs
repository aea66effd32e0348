//! Runs, and the tokens of runners.
//!
//! `spec` is JSON. `base_manifest` keeps the contents that a run begins with, also when its snapshot
//! is deleted. A lease is the digest of its token with the number of the attempt; `reported` counts
//! what the runner of this attempt has told.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(runner_tokens()).await?;
        manager.create_table(runs()).await?;
        for (name, columns) in INDEXES {
            let mut index = Index::create();
            index.name(name).table("runs");
            for column in columns {
                index.col(column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "restore a backup to go back to an earlier schema".to_owned(),
        ))
    }
}

const INDEXES: [(&str, [&str; 3]); 2] = [
    ("runs_by_workspace", ["workspace_id", "create_time", "id"]),
    ("runs_by_state", ["state", "priority", "create_time"]),
];

fn runner_tokens() -> TableCreateStatement {
    Table::create()
        .table("runner_tokens")
        .col(uuid("id").primary_key())
        .col(string("name"))
        .col(binary("digest").unique_key())
        .col(uuid_null("workspace_id"))
        .col(big_integer("create_time"))
        .col(big_integer_null("last_use_time"))
        .foreign_key(&mut key(
            "runner_tokens",
            "workspace_id",
            "workspaces",
            ForeignKeyAction::Cascade,
        ))
        .to_owned()
}

fn runs() -> TableCreateStatement {
    Table::create()
        .table("runs")
        .col(uuid("id").primary_key())
        .col(uuid("workspace_id"))
        .col(uuid_null("user_id"))
        .col(string("title"))
        .col(text("spec"))
        .col(uuid("base_snapshot_id"))
        .col(string("base_manifest"))
        .col(integer("priority"))
        .col(integer("max_attempts"))
        .col(big_integer("timeout"))
        .col(string("apply_mode"))
        .col(string("state"))
        .col(integer("attempt"))
        .col(big_integer("not_before"))
        .col(boolean("cancel_requested"))
        .col(uuid_null("runner_token_id"))
        .col(string("runner_name"))
        .col(binary_null("lease_digest"))
        .col(big_integer_null("lease_expire_time"))
        .col(big_integer_null("deadline"))
        .col(big_integer("reported"))
        .col(string("reason"))
        .col(text("message"))
        .col(uuid_null("result_snapshot_id"))
        .col(string("apply_state"))
        .col(text("conflicts"))
        .col(big_integer("create_time"))
        .col(big_integer_null("start_time"))
        .col(big_integer_null("end_time"))
        .foreign_key(&mut key(
            "runs",
            "workspace_id",
            "workspaces",
            ForeignKeyAction::Cascade,
        ))
        .foreign_key(&mut key(
            "runs",
            "user_id",
            "users",
            ForeignKeyAction::SetNull,
        ))
        .to_owned()
}

fn key(
    table: &'static str,
    column: &'static str,
    target: &'static str,
    action: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, column)
        .to(target, "id")
        .on_delete(action)
        .to_owned()
}

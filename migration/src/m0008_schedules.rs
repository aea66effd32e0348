//! Schedules, and which of them made which run. `spec` is JSON. A slot makes at most one run, which an
//! index holds.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(schedules()).await?;
        for (name, columns) in [
            ("schedules_by_workspace", ["workspace_id", "create_time"]),
            ("schedules_by_next_time", ["enabled", "next_time"]),
        ] {
            let mut index = Index::create();
            index.name(name).table("schedules");
            for column in columns {
                index.col(column);
            }
            manager.create_index(index).await?;
        }
        let columns = [
            uuid_null("schedule_id").take(),
            big_integer_null("slot_time").take(),
        ];
        // SQLite adds one column at a time.
        for column in columns {
            let change = Table::alter().table("runs").add_column(column).to_owned();
            manager.alter_table(change).await?;
        }
        let once = Index::create()
            .name("runs_by_slot")
            .table("runs")
            .col("schedule_id")
            .col("slot_time")
            .unique()
            .to_owned();
        manager.create_index(once).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "restore a backup to go back to an earlier schema".to_owned(),
        ))
    }
}

fn schedules() -> TableCreateStatement {
    let mut workspace = ForeignKey::create()
        .from("schedules", "workspace_id")
        .to("workspaces", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned();
    let mut user = ForeignKey::create()
        .from("schedules", "user_id")
        .to("users", "id")
        .on_delete(ForeignKeyAction::SetNull)
        .to_owned();
    Table::create()
        .table("schedules")
        .col(uuid("id").primary_key())
        .col(uuid("workspace_id"))
        .col(uuid_null("user_id"))
        .col(string("title"))
        .col(string("cron"))
        .col(string("time_zone"))
        .col(text("spec"))
        .col(string("apply_mode"))
        .col(boolean("enabled"))
        .col(string("disabled_reason"))
        .col(string("missed_policy"))
        .col(integer("missed_limit"))
        .col(string("overlap_policy"))
        .col(integer("max_failures"))
        .col(integer("failures"))
        .col(text("last_error"))
        .col(big_integer_null("next_time"))
        .col(big_integer_null("last_slot_time"))
        .col(big_integer("version"))
        .col(big_integer("create_time"))
        .foreign_key(&mut workspace)
        .foreign_key(&mut user)
        .to_owned()
}

//! Activities: what happened at the boundary of a workspace, over all its sessions. Each is an event
//! of a session, written down here as well in the same transaction, so that it can be found by
//! workspace. `payload` is the event's, encoded.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(activities()).await?;
        let mut index = Index::create();
        index.name("activities_by_workspace").table("activities");
        for column in ["workspace_id", "create_time", "id"] {
            index.col(column);
        }
        manager.create_index(index).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "restore a backup to go back to an earlier schema".to_owned(),
        ))
    }
}

fn activities() -> TableCreateStatement {
    Table::create()
        .table("activities")
        .col(uuid("id").primary_key())
        .col(uuid("workspace_id"))
        .col(uuid("session_id"))
        .col(big_integer("sequence"))
        .col(big_integer("create_time"))
        .col(string("kind"))
        .col(string("host").default(""))
        .col(boolean("limited").default(false))
        .col(binary("payload"))
        .foreign_key(&mut cascade("workspace_id", "workspaces"))
        .foreign_key(&mut cascade("session_id", "sessions"))
        .to_owned()
}

fn cascade(column: &'static str, target: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from("activities", column)
        .to(target, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

//! Servers that share this database: which are there, whose a turn is, and which of them has an agent
//! at work in a workspace. `beat` counts up as long as a server lives; a negative one belongs to a
//! server whose turns another one is ending.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(servers()).await?;
        manager.create_table(holds()).await?;
        let columns = [
            uuid_null("server_id").take(),
            boolean("interrupt_requested").default(false).take(),
        ];
        // SQLite adds one column at a time.
        for column in columns {
            let change = Table::alter().table("turns").add_column(column).to_owned();
            manager.alter_table(change).await?;
        }
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "restore a backup to go back to an earlier schema".to_owned(),
        ))
    }
}

fn servers() -> TableCreateStatement {
    Table::create()
        .table("servers")
        .col(uuid("id").primary_key())
        .col(big_integer("beat"))
        .col(string("master_versions"))
        .col(big_integer("create_time"))
        .to_owned()
}

fn holds() -> TableCreateStatement {
    Table::create()
        .table("workspace_holds")
        .col(uuid("workspace_id").primary_key())
        .col(uuid("server_id"))
        .col(boolean("wanted").default(false))
        .foreign_key(&mut cascade("workspace_id", "workspaces"))
        .foreign_key(&mut cascade("server_id", "servers"))
        .to_owned()
}

fn cascade(column: &'static str, target: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from("workspace_holds", column)
        .to(target, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

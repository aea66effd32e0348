//! Workspaces that are gone and may have left objects in an object store.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let remains = Table::create()
            .table("workspace_remains")
            .col(uuid("workspace_id").primary_key())
            .col(big_integer("delete_time"))
            .to_owned();
        manager.create_table(remains).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "restore a backup to go back to an earlier schema".to_owned(),
        ))
    }
}

//! Runs that repeat another one, and how many runs of a workspace may be at work. The latter is a copy
//! of what the settings say, for claims to ask.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let repeated = Table::alter()
            .table("runs")
            .add_column(uuid_null("retry_of"))
            .to_owned();
        manager.alter_table(repeated).await?;
        let limited = Table::alter()
            .table("workspaces")
            .add_column(integer("max_concurrent_runs").default(0))
            .to_owned();
        manager.alter_table(limited).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "restore a backup to go back to an earlier schema".to_owned(),
        ))
    }
}

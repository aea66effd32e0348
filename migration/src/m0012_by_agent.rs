//! Which runs and schedules an agent has asked for: such a run may not ask for more.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["runs", "schedules"] {
            let told = Table::alter()
                .table(table)
                .add_column(boolean("by_agent").default(false))
                .to_owned();
            manager.alter_table(told).await?;
        }
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "restore a backup to go back to an earlier schema".to_owned(),
        ))
    }
}

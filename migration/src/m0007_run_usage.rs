//! What a run's model requests have used, over all its attempts.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let counts = [
            "input_tokens",
            "output_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
        ];
        let columns = counts
            .map(|name| big_integer(name).default(0).take())
            .into_iter()
            .chain([
                big_integer_null("cost_micro_usd").default(0).take(),
                integer("requests").default(0).take(),
            ]);
        // SQLite adds one column at a time.
        for column in columns {
            let change = Table::alter().table("runs").add_column(column).to_owned();
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

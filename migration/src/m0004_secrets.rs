//! Envelope encryption: data keys, wrapped by a master key; the values that they seal, among them
//! users' secrets; and the rotations of the master key.
//!
//! A data key belongs to one workspace or one user and goes with it. Provider keys that a master
//! key has sealed directly are kept in `direct_provider_keys`, until the server has sealed them
//! anew.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let direct = Table::rename()
            .table("provider_keys", "direct_provider_keys")
            .to_owned();
        manager.rename_table(direct).await?;
        let backend = manager.get_database_backend();
        for table in [
            data_keys(),
            provider_keys(),
            user_secrets(),
            rotations(backend),
        ] {
            manager.create_table(table).await?;
        }
        let by_version = Index::create()
            .name("data_keys_by_master_version")
            .table("data_keys")
            .col("master_version")
            .to_owned();
        manager.create_index(by_version).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "restore a backup to go back to an earlier schema".to_owned(),
        ))
    }
}

fn data_keys() -> TableCreateStatement {
    Table::create()
        .table("data_keys")
        .col(uuid("id").primary_key())
        .col(uuid_null("workspace_id").unique_key())
        .col(uuid_null("user_id").unique_key())
        .col(integer("master_version"))
        .col(binary("wrapped"))
        .col(big_integer("create_time"))
        .foreign_key(&mut cascade("data_keys", "workspace_id", "workspaces"))
        .foreign_key(&mut cascade("data_keys", "user_id", "users"))
        .to_owned()
}

fn provider_keys() -> TableCreateStatement {
    Table::create()
        .table("provider_keys")
        .col(uuid("workspace_id"))
        .col(string("provider"))
        .col(uuid("data_key_id"))
        .col(binary("sealed"))
        .col(big_integer("create_time"))
        .col(big_integer_null("last_use_time"))
        .primary_key(Index::create().col("workspace_id").col("provider"))
        .foreign_key(&mut cascade("provider_keys", "workspace_id", "workspaces"))
        .to_owned()
}

fn user_secrets() -> TableCreateStatement {
    Table::create()
        .table("user_secrets")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(string("name"))
        .col(uuid("data_key_id"))
        .col(binary("sealed"))
        .col(integer("value_bytes"))
        .col(boolean("is_redacted"))
        .col(big_integer("create_time"))
        .col(big_integer("update_time"))
        .col(big_integer_null("last_use_time"))
        .index(Index::create().unique().col("user_id").col("name"))
        .foreign_key(&mut cascade("user_secrets", "user_id", "users"))
        .to_owned()
}

fn rotations(backend: DbBackend) -> TableCreateStatement {
    let mut id = integer("id").primary_key().take();
    // SQLite counts such a column up by itself.
    if backend == DbBackend::Postgres {
        id.auto_increment();
    }
    Table::create()
        .table("key_rotations")
        .col(id)
        .col(integer("master_version"))
        .col(big_integer("begin_time"))
        .col(big_integer_null("end_time"))
        .to_owned()
}

fn cascade(
    table: &'static str,
    column: &'static str,
    target: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, column)
        .to(target, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

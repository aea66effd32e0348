//! Snapshots: pictures of workspaces' files. Each is the digest of a manifest in the workspace's
//! store; `tree` names its entries alone, without what was skipped.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(snapshots()).await?;
        let by_workspace = Index::create()
            .name("snapshots_by_workspace")
            .table("snapshots")
            .col("workspace_id")
            .col("create_time")
            .col("id")
            .to_owned();
        manager.create_index(by_workspace).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "restore a backup to go back to an earlier schema".to_owned(),
        ))
    }
}

fn snapshots() -> TableCreateStatement {
    let mut workspace = ForeignKey::create()
        .from("snapshots", "workspace_id")
        .to("workspaces", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned();
    let mut user = ForeignKey::create()
        .from("snapshots", "user_id")
        .to("users", "id")
        .on_delete(ForeignKeyAction::SetNull)
        .to_owned();
    Table::create()
        .table("snapshots")
        .col(uuid("id").primary_key())
        .col(uuid("workspace_id"))
        .col(uuid_null("user_id"))
        .col(string("kind"))
        .col(string("title"))
        .col(boolean("pinned"))
        .col(big_integer("create_time"))
        .col(string("manifest"))
        .col(string("tree"))
        .col(big_integer("file_count"))
        .col(big_integer("total_bytes"))
        .col(text("skipped"))
        .foreign_key(&mut workspace)
        .foreign_key(&mut user)
        .to_owned()
}

//! Change sets: what a turn, or people before it, changed in a workspace's files.
//!
//! Manifests are named by the digest of their contents in the workspace's store. A row without
//! `after_manifest` belongs to a turn that has not ended.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(change_sets()).await?;
        for (name, columns) in INDEXES {
            let mut index = Index::create();
            index.name(name).table("change_sets");
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
    (
        "change_sets_by_workspace",
        ["workspace_id", "create_time", "id"],
    ),
    (
        "change_sets_by_session",
        ["session_id", "create_time", "id"],
    ),
];

fn change_sets() -> TableCreateStatement {
    Table::create()
        .table("change_sets")
        .col(uuid("id").primary_key())
        .col(uuid("workspace_id"))
        .col(uuid("session_id"))
        .col(uuid("turn_id"))
        .col(string("kind"))
        .col(big_integer("create_time"))
        .col(string("before_manifest"))
        .col(string_null("after_manifest"))
        .col(string("before_part").default(""))
        .col(string("after_part").default(""))
        .col(text("skipped").default("[]"))
        .col(integer("file_count").default(0))
        .col(integer("lines_added").default(0))
        .col(integer("lines_removed").default(0))
        .foreign_key(&mut cascade("workspace_id", "workspaces"))
        .foreign_key(&mut cascade("session_id", "sessions"))
        .to_owned()
}

fn cascade(column: &'static str, target: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from("change_sets", column)
        .to(target, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

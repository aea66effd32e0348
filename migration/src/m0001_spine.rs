//! Accounts, workspaces, sessions, and the event log.
//!
//! Conventions: ids are UUIDs, times are milliseconds since the Unix epoch, enums are lower-case
//! words, and amounts of money are millionths of a US dollar.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in accounts()
            .into_iter()
            .chain(workspaces())
            .chain(sessions())
            .chain(bookkeeping())
        {
            manager.create_table(table).await?;
        }
        for index in indexes() {
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

fn accounts() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("users")
            .col(uuid("id").primary_key())
            .col(string_uniq("name"))
            .col(boolean("administrator"))
            .col(boolean("disabled"))
            .col(big_integer("create_time"))
            .to_owned(),
        Table::create()
            .table("login_links")
            .col(binary("digest").primary_key())
            .col(uuid("user_id"))
            .col(big_integer("expire_time"))
            .foreign_key(&mut cascade("login_links", "user_id", "users"))
            .to_owned(),
        Table::create()
            .table("browser_sessions")
            .col(binary("digest").primary_key())
            .col(uuid("user_id"))
            .col(big_integer("create_time"))
            .col(big_integer("expire_time"))
            .foreign_key(&mut cascade("browser_sessions", "user_id", "users"))
            .to_owned(),
        Table::create()
            .table("api_tokens")
            .col(uuid("id").primary_key())
            .col(uuid("user_id"))
            .col(string("name"))
            .col(binary_uniq("digest"))
            .col(big_integer("create_time"))
            .col(big_integer_null("expire_time"))
            .col(big_integer_null("last_use_time"))
            .foreign_key(&mut cascade("api_tokens", "user_id", "users"))
            .to_owned(),
    ]
}

fn workspaces() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("workspaces")
            .col(uuid("id").primary_key())
            .col(string("name"))
            .col(text("settings"))
            .col(big_integer("version"))
            .col(big_integer("create_time"))
            .col(big_integer("update_time"))
            .to_owned(),
        Table::create()
            .table("members")
            .col(uuid("workspace_id"))
            .col(uuid("user_id"))
            .col(string("role"))
            .col(big_integer("create_time"))
            .primary_key(Index::create().col("workspace_id").col("user_id"))
            .foreign_key(&mut cascade("members", "workspace_id", "workspaces"))
            .foreign_key(&mut cascade("members", "user_id", "users"))
            .to_owned(),
        Table::create()
            .table("provider_keys")
            .col(uuid("workspace_id"))
            .col(string("provider"))
            .col(integer("master_version"))
            .col(binary("sealed"))
            .col(big_integer("create_time"))
            .col(big_integer_null("last_use_time"))
            .primary_key(Index::create().col("workspace_id").col("provider"))
            .foreign_key(&mut cascade("provider_keys", "workspace_id", "workspaces"))
            .to_owned(),
    ]
}

fn sessions() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("sessions")
            .col(uuid("id").primary_key())
            .col(uuid("workspace_id"))
            .col(uuid("creator_user_id"))
            .col(string("title"))
            .col(big_integer("version"))
            .col(big_integer("create_time"))
            .col(big_integer("update_time"))
            .foreign_key(&mut cascade("sessions", "workspace_id", "workspaces"))
            .to_owned(),
        Table::create()
            .table("turns")
            .col(uuid("id").primary_key())
            .col(uuid("session_id"))
            .col(string("state"))
            .col(big_integer("create_time"))
            .col(big_integer_null("end_time"))
            .col(big_integer("message_sequence"))
            .col(big_integer("input_tokens").default(0))
            .col(big_integer("output_tokens").default(0))
            .col(big_integer("cache_creation_input_tokens").default(0))
            .col(big_integer("cache_read_input_tokens").default(0))
            .col(big_integer_null("cost_micro_usd"))
            .col(integer("requests").default(0))
            .foreign_key(&mut cascade("turns", "session_id", "sessions"))
            .to_owned(),
        Table::create()
            .table("permission_requests")
            .col(uuid("id").primary_key())
            .col(uuid("session_id"))
            .col(uuid("turn_id"))
            .col(string("tool_call_id"))
            .col(string("state"))
            .col(big_integer("create_time"))
            .col(uuid_null("resolver_user_id"))
            .col(big_integer_null("resolve_time"))
            .foreign_key(&mut cascade(
                "permission_requests",
                "session_id",
                "sessions",
            ))
            .to_owned(),
        Table::create()
            .table("events")
            .col(string("stream"))
            .col(big_integer("sequence"))
            .col(big_integer("create_time"))
            .col(string("turn_id"))
            .col(binary("payload"))
            .primary_key(Index::create().col("stream").col("sequence"))
            .to_owned(),
    ]
}

fn bookkeeping() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("request_ids")
            .col(uuid("user_id"))
            .col(uuid("request_id"))
            .col(string("method"))
            .col(uuid("resource_id"))
            .col(big_integer("create_time"))
            .primary_key(Index::create().col("user_id").col("request_id"))
            .foreign_key(&mut cascade("request_ids", "user_id", "users"))
            .to_owned(),
        Table::create()
            .table("audit")
            .col(uuid("id").primary_key())
            .col(big_integer("create_time"))
            .col(uuid_null("user_id"))
            .col(string("credential"))
            .col(string("operation"))
            .col(string("resource"))
            .col(string("outcome"))
            .to_owned(),
        Table::create()
            .table("vault_check")
            .col(integer("master_version").primary_key())
            .col(binary("sealed"))
            .to_owned(),
    ]
}

fn indexes() -> Vec<IndexCreateStatement> {
    [
        ("members_by_user", "members", vec!["user_id"]),
        (
            "api_tokens_by_user",
            "api_tokens",
            vec!["user_id", "create_time"],
        ),
        (
            "workspaces_by_activity",
            "workspaces",
            vec!["update_time", "id"],
        ),
        (
            "sessions_by_activity",
            "sessions",
            vec!["workspace_id", "update_time", "id"],
        ),
        (
            "turns_by_session",
            "turns",
            vec!["session_id", "create_time"],
        ),
        ("turns_by_state", "turns", vec!["state"]),
        (
            "permissions_by_turn",
            "permission_requests",
            vec!["turn_id", "state"],
        ),
        ("audit_by_time", "audit", vec!["create_time"]),
    ]
    .into_iter()
    .map(|(name, table, columns)| {
        let mut index = Index::create();
        index.name(name).table(table);
        for column in columns {
            index.col(column);
        }
        index
    })
    .collect()
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

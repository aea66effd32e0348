//! To the wire.

use membrane_entity::{api_token, member, user, user_secret};
use membrane_proto::v1 as proto;

use crate::{
    authz::Role,
    db::{SealedKey, SessionSummary, WorkspaceSummary},
    error::Error,
    settings::{Provider, Settings, encode_provider},
    time::timestamp,
};

pub fn user(row: user::Model) -> proto::User {
    proto::User {
        id: row.id.to_string(),
        name: row.name,
        administrator: row.administrator,
        disabled: row.disabled,
        create_time: Some(timestamp(row.create_time)),
    }
}

pub fn api_token(row: api_token::Model) -> proto::ApiToken {
    proto::ApiToken {
        id: row.id.to_string(),
        name: row.name,
        create_time: Some(timestamp(row.create_time)),
        expire_time: row.expire_time.map(timestamp),
        last_use_time: row.last_use_time.map(timestamp),
    }
}

pub fn secret(row: user_secret::Model) -> proto::Secret {
    proto::Secret {
        redacted: row.is_redacted,
        name: row.name,
        create_time: Some(timestamp(row.create_time)),
        update_time: Some(timestamp(row.update_time)),
        last_use_time: row.last_use_time.map(timestamp),
    }
}

pub fn role(role: Role) -> proto::Role {
    match role {
        Role::Viewer => proto::Role::Viewer,
        Role::Editor => proto::Role::Editor,
        Role::Owner => proto::Role::Owner,
    }
}

pub fn member((row, user_name): (member::Model, String)) -> proto::Member {
    proto::Member {
        user_id: row.user_id.to_string(),
        user_name,
        role: Role::parse(&row.role)
            .map_or(proto::Role::Unspecified, role)
            .into(),
        create_time: Some(timestamp(row.create_time)),
    }
}

pub fn provider_key(row: &SealedKey) -> proto::ProviderKey {
    proto::ProviderKey {
        provider: Provider::parse(&row.provider)
            .map_or(proto::Provider::Unspecified, encode_provider)
            .into(),
        create_time: Some(timestamp(row.create_time)),
        last_use_time: row.last_use_time.map(timestamp),
    }
}

pub fn workspace(summary: WorkspaceSummary) -> Result<proto::Workspace, Error> {
    let settings = stored_settings(&summary.row.settings)?;
    Ok(proto::Workspace {
        id: summary.row.id.to_string(),
        name: summary.row.name,
        settings: Some(settings.encode()),
        create_time: Some(timestamp(summary.row.create_time)),
        update_time: Some(timestamp(summary.row.update_time)),
        etag: summary.row.version.to_string(),
        role: role(summary.role).into(),
        session_count: i32::try_from(summary.sessions).unwrap_or(i32::MAX),
        active_session_count: i32::try_from(summary.active_sessions).unwrap_or(i32::MAX),
    })
}

/// Settings from their column.
pub fn stored_settings(json: &str) -> Result<Settings, Error> {
    serde_json::from_str(json)
        .map_err(|error| Error::Internal(format!("stored settings can't be read: {error}")))
}

pub fn session(summary: SessionSummary, settings: &Settings) -> proto::Session {
    let state = match summary.open_turn.as_deref() {
        None => proto::SessionState::Idle,
        Some(_) if summary.waiting => proto::SessionState::Waiting,
        Some("queued") => proto::SessionState::Queued,
        Some(_) => proto::SessionState::Running,
    };
    proto::Session {
        id: summary.row.id.to_string(),
        workspace_id: summary.row.workspace_id.to_string(),
        title: summary.row.title,
        state: state.into(),
        create_time: Some(timestamp(summary.row.create_time)),
        update_time: Some(timestamp(summary.row.update_time)),
        creator_user_id: summary.row.creator_user_id.to_string(),
        etag: summary.row.version.to_string(),
        usage: Some(summary.usage),
        last_sequence: summary.last_sequence,
        turn_count: summary.turns,
        limits: Some(settings.limits.encode()),
    }
}

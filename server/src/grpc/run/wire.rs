//! Runs and runners' tokens on the wire.

use membrane_entity::{run, runner_token};
use membrane_proto::v1 as proto;

use crate::{
    error::Error,
    runs::{ApplyState, Spec, parse_state, usage_of},
    time::timestamp,
};

/// A run as the wire says it.
pub(in crate::grpc) fn encode(row: &run::Model) -> Result<proto::Run, Error> {
    let states = [
        (ApplyState::Nothing, proto::ApplyState::Nothing),
        (ApplyState::Pending, proto::ApplyState::Pending),
        (ApplyState::Applied, proto::ApplyState::Applied),
    ];
    let apply = states
        .iter()
        .find(|(state, _)| state.word() == row.apply_state);
    let conflicting_paths = serde_json::from_str(&row.conflicts)
        .map_err(|error| Error::Internal(format!("conflicts can't be read: {error}")))?;
    let id = |id: Option<uuid::Uuid>| id.map_or_else(String::new, |id| id.to_string());
    Ok(proto::Run {
        id: row.id.to_string(),
        workspace_id: row.workspace_id.to_string(),
        user_id: id(row.user_id),
        title: row.title.clone(),
        spec: Some(Spec::encode(row)?),
        state: parse_state(&row.state).into(),
        attempt: row.attempt,
        runner_name: row.runner_name.clone(),
        reason: row.reason.clone(),
        message: row.message.clone(),
        create_time: Some(timestamp(row.create_time)),
        start_time: row.start_time.map(timestamp),
        end_time: row.end_time.map(timestamp),
        cancel_requested: row.cancel_requested,
        result_snapshot_id: id(row.result_snapshot_id),
        apply_state: apply
            .map_or(proto::ApplyState::Unspecified, |(_, state)| *state)
            .into(),
        conflicting_paths,
        usage: Some(usage_of(row)),
        schedule_id: id(row.schedule_id),
        slot_time: row.slot_time.map(timestamp),
        retry_of_run_id: id(row.retry_of),
        by_agent: row.by_agent,
    })
}

/// A token as the wire says it.
pub(super) fn encode_token(row: runner_token::Model) -> proto::RunnerToken {
    proto::RunnerToken {
        id: row.id.to_string(),
        name: row.name,
        workspace_id: row
            .workspace_id
            .map_or_else(String::new, |id| id.to_string()),
        create_time: Some(timestamp(row.create_time)),
        last_use_time: row.last_use_time.map(timestamp),
    }
}

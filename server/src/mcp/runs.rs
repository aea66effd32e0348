//! The tools about runs.

use membrane_proto::v1 as proto;
use serde_json::{Value, json};

use super::{
    boundary::Call,
    input::{self, CreateRun, ListRuns, OneRun},
    words,
};
use crate::{error::Error, grpc::run::Service};

/// Runs of a page, if the agent does not say how many.
const PAGE: i32 = 20;

pub(super) async fn list(call: Call<'_>) -> Result<Value, Error> {
    let workspace_id = call.workspace_id();
    let input: ListRuns = input::read(call.arguments.clone())?;
    if !input.schedule_id.is_empty() {
        call.heed_schedule(&input.schedule_id).await?;
    }
    let states = input.states.into_iter().map(proto::RunState::from);
    let request = proto::ListRunsRequest {
        workspace_id,
        states: states.map(i32::from).collect(),
        schedule_id: input.schedule_id,
        page_size: input.page_size.unwrap_or(PAGE),
        page_token: input.page_token,
    };
    let service = Service(call.server.app.clone());
    let listed = service.list(Some(call.principal), request).await?;
    let runs: Vec<Value> = listed.runs.iter().map(words::run_in_brief).collect();
    Ok(json!({ "runs": runs, "next_page_token": listed.next_page_token }))
}

pub(super) async fn get(call: Call<'_>) -> Result<Value, Error> {
    let input: OneRun = input::read(call.arguments.clone())?;
    call.check_run(&input.run_id).await?;
    let request = proto::GetRunRequest {
        run_id: input.run_id,
    };
    let service = Service(call.server.app.clone());
    let got = service.get(Some(call.principal), request).await?;
    Ok(words::run(&got.run.unwrap_or_default()))
}

pub(super) async fn create(call: Call<'_>) -> Result<Value, Error> {
    let workspace_id = call.workspace_id();
    let input: CreateRun = input::read(call.arguments)?;
    let request = proto::CreateRunRequest {
        workspace_id,
        spec: Some(spec(input.prompt, input.apply, input.timeout_seconds)),
        title: input.title,
        ..Default::default()
    };
    let service = Service(call.server.app.clone());
    let created = service.create(Some(call.principal), request).await?;
    Ok(words::run(&created.run.unwrap_or_default()))
}

pub(super) async fn cancel(call: Call<'_>) -> Result<Value, Error> {
    let input: OneRun = input::read(call.arguments.clone())?;
    call.check_run(&input.run_id).await?;
    let request = proto::CancelRunRequest {
        run_id: input.run_id,
    };
    let service = Service(call.server.app.clone());
    let cancelled = service.cancel(Some(call.principal), request).await?;
    Ok(words::run(&cancelled.run.unwrap_or_default()))
}

/// What a run does.
pub(super) fn spec(
    prompt: String,
    apply: Option<input::Apply>,
    timeout_seconds: Option<i64>,
) -> proto::RunSpec {
    let apply = apply.map_or(proto::ApplyMode::Unspecified, proto::ApplyMode::from);
    proto::RunSpec {
        prompt,
        apply_mode: apply.into(),
        timeout: timeout_seconds.map(seconds),
        ..Default::default()
    }
}

pub(super) fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

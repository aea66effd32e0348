//! The tools about schedules.

use membrane_proto::v1 as proto;
use prost_types::FieldMask;
use serde_json::{Value, json};

use super::{
    boundary::Call,
    input::{self, CreateSchedule, Nothing, OneSchedule, UpdateSchedule},
    runs, words,
};
use crate::{error::Error, grpc::schedule::Service};

pub(super) async fn list(call: Call<'_>) -> Result<Value, Error> {
    let workspace_id = call.workspace_id();
    let Nothing {} = input::read(call.arguments)?;
    let request = proto::ListSchedulesRequest { workspace_id };
    let service = Service(call.server.app.clone());
    let listed = service.list(Some(call.principal), request).await?;
    let schedules: Vec<Value> = listed.schedules.iter().map(words::schedule).collect();
    Ok(json!({ "schedules": schedules }))
}

pub(super) async fn create(call: Call<'_>) -> Result<Value, Error> {
    let workspace_id = call.workspace_id();
    let input: CreateSchedule = input::read(call.arguments)?;
    let overlap = input.overlap.map(proto::OverlapPolicy::from);
    let schedule = proto::Schedule {
        title: input.title,
        cron: input.cron,
        time_zone: input.time_zone,
        spec: Some(runs::spec(input.prompt, input.apply, input.timeout_seconds)),
        enabled: input.enabled.unwrap_or(true),
        overlap_policy: overlap.unwrap_or_default().into(),
        ..Default::default()
    };
    let request = proto::CreateScheduleRequest {
        workspace_id,
        schedule: Some(schedule),
        ..Default::default()
    };
    let service = Service(call.server.app.clone());
    let created = service.create(Some(call.principal), request).await?;
    Ok(words::schedule(&created.schedule.unwrap_or_default()))
}

pub(super) async fn update(call: Call<'_>) -> Result<Value, Error> {
    let workspace_id = call.workspace_id();
    let input: UpdateSchedule = input::read(call.arguments.clone())?;
    call.check_schedule(&input.schedule_id).await?;
    let service = Service(call.server.app.clone());
    let principal = Some(call.principal);
    let request = proto::GetScheduleRequest {
        workspace_id: workspace_id.clone(),
        schedule_id: input.schedule_id.clone(),
    };
    let got = service.get(principal.clone(), request).await?;
    let mut schedule = got.schedule.unwrap_or_default();
    let paths = change(&mut schedule, input);
    if paths.is_empty() {
        let message = "say what is to change, beside schedule_id";
        return Err(Error::Rejected {
            reason: "INVALID_INPUT",
            message: message.to_owned(),
        });
    }
    let request = proto::UpdateScheduleRequest {
        workspace_id,
        etag: schedule.etag.clone(),
        update_mask: Some(FieldMask { paths }),
        schedule: Some(schedule),
    };
    let updated = service.update(principal, request).await?;
    Ok(words::schedule(&updated.schedule.unwrap_or_default()))
}

/// Changes what is given, and names the fields that it belongs to.
fn change(schedule: &mut proto::Schedule, given: UpdateSchedule) -> Vec<String> {
    let mut paths = Vec::new();
    let mut changed = |path: &str| {
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    };
    if let Some(cron) = given.cron {
        schedule.cron = cron;
        changed("cron");
    }
    if let Some(time_zone) = given.time_zone {
        schedule.time_zone = time_zone;
        changed("time_zone");
    }
    if let Some(title) = given.title {
        schedule.title = title;
        changed("title");
    }
    if let Some(enabled) = given.enabled {
        schedule.enabled = enabled;
        changed("enabled");
    }
    if let Some(overlap) = given.overlap {
        schedule.set_overlap_policy(overlap.into());
        changed("overlap_policy");
    }
    let spec = schedule.spec.get_or_insert_default();
    if let Some(prompt) = given.prompt {
        spec.prompt = prompt;
        changed("spec");
    }
    if let Some(apply) = given.apply {
        spec.set_apply_mode(apply.into());
        changed("spec");
    }
    if let Some(timeout) = given.timeout_seconds {
        spec.timeout = Some(runs::seconds(timeout));
        changed("spec");
    }
    paths
}

pub(super) async fn delete(call: Call<'_>) -> Result<Value, Error> {
    let workspace_id = call.workspace_id();
    let input: OneSchedule = input::read(call.arguments.clone())?;
    call.check_schedule(&input.schedule_id).await?;
    let deleted = json!({ "deleted": input.schedule_id });
    let request = proto::DeleteScheduleRequest {
        workspace_id,
        schedule_id: input.schedule_id,
    };
    let service = Service(call.server.app.clone());
    service.delete(Some(call.principal), request).await?;
    Ok(deleted)
}

pub(super) async fn run_now(call: Call<'_>) -> Result<Value, Error> {
    let workspace_id = call.workspace_id();
    let input: OneSchedule = input::read(call.arguments.clone())?;
    call.check_schedule(&input.schedule_id).await?;
    let request = proto::RunScheduleRequest {
        workspace_id,
        schedule_id: input.schedule_id,
        ..Default::default()
    };
    let service = Service(call.server.app.clone());
    let queued = service.run_now(Some(call.principal), request).await?;
    Ok(words::run(&queued.run.unwrap_or_default()))
}

//! Runs and schedules as a model reads them: JSON without what is empty, times in UTC.

use chrono::{DateTime, SecondsFormat};
use membrane_proto::v1 as proto;
use prost_types::Timestamp;
use serde_json::{Value, json};

use crate::runs::word;

/// A run in a list.
pub(super) fn run_in_brief(run: &proto::Run) -> Value {
    filled(json!({
        "id": run.id,
        "title": run.title,
        "state": word(run.state()),
        "cancel_requested": run.cancel_requested,
        "message": run.message,
        "schedule_id": run.schedule_id,
        "by_agent": run.by_agent,
        "create_time": time(run.create_time),
        "end_time": time(run.end_time),
    }))
}

/// A run.
pub(super) fn run(run: &proto::Run) -> Value {
    let mut all = run_in_brief(run);
    let spec = run.spec.clone().unwrap_or_default();
    let usage = run.usage.unwrap_or_default();
    let more = filled(json!({
        "prompt": spec.prompt,
        "apply": apply(spec.apply_mode()),
        "attempt": run.attempt,
        "max_attempts": spec.max_attempts,
        "timeout_seconds": spec.timeout.map(|timeout| timeout.seconds),
        "reason": run.reason,
        "start_time": time(run.start_time),
        "result": result(run.apply_state()),
        "conflicting_paths": run.conflicting_paths,
        "model_requests": usage.requests,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
    }));
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

/// A schedule.
pub(super) fn schedule(schedule: &proto::Schedule) -> Value {
    let spec = schedule.spec.clone().unwrap_or_default();
    let next = schedule.next_times.iter().map(|next| time(next.time));
    let mut all = filled(json!({
        "id": schedule.id,
        "title": schedule.title,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "description": schedule.description,
        "prompt": spec.prompt,
        "apply": apply(spec.apply_mode()),
        "timeout_seconds": spec.timeout.map(|timeout| timeout.seconds),
        "overlap": overlap(schedule.overlap_policy()),
        "by_agent": schedule.by_agent,
        "disabled_reason": schedule.disabled_reason,
        "failures": schedule.failures,
        "last_error": schedule.last_error,
        "next_times": next.collect::<Vec<_>>(),
    }));
    all["enabled"] = schedule.enabled.into();
    all
}

fn apply(mode: proto::ApplyMode) -> &'static str {
    match mode {
        proto::ApplyMode::Unspecified => "",
        proto::ApplyMode::IfUnchanged => "if_unchanged",
        proto::ApplyMode::Manual => "manual",
    }
}

fn overlap(policy: proto::OverlapPolicy) -> &'static str {
    match policy {
        proto::OverlapPolicy::Unspecified => "",
        proto::OverlapPolicy::Skip => "skip",
        proto::OverlapPolicy::Queue => "queue",
        proto::OverlapPolicy::CancelPrevious => "cancel_previous",
    }
}

fn result(state: proto::ApplyState) -> &'static str {
    match state {
        proto::ApplyState::Unspecified | proto::ApplyState::Nothing => "",
        proto::ApplyState::Pending => "waits to be applied",
        proto::ApplyState::Applied => "applied",
    }
}

fn time(given: Option<Timestamp>) -> Option<String> {
    let given = given?;
    let nanos = u32::try_from(given.nanos).unwrap_or_default();
    let time = DateTime::from_timestamp(given.seconds, nanos)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Without what says nothing.
fn filled(mut object: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.retain(|_, value| match value {
            Value::Null => false,
            Value::Bool(yes) => *yes,
            Value::Number(number) => number.as_i64() != Some(0),
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(_) => true,
        });
    }
    object
}

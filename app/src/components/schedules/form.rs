//! A form that makes a schedule, or changes one.

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use super::rule::Rule;
use crate::{
    api::{self, ApiError},
    browser,
    components::{field::Field, problem::InlineProblem},
};

/// The fields of a schedule that the form has.
const FIELDS: [&str; 7] = [
    "title",
    "cron",
    "time_zone",
    "spec",
    "missed_policy",
    "overlap_policy",
    "max_failures",
];

/// The form. What it made or changed is handed to `done`.
#[component]
pub(super) fn ScheduleForm(
    /// What is there already; a new one has no id.
    schedule: pb::Schedule,
    /// What comes next.
    done: Callback<pb::Schedule>,
) -> impl IntoView {
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let is_new = schedule.id.is_empty();
    let spec = schedule.spec.clone().unwrap_or_default();
    let prompt = spec.prompt.clone();
    let applies = spec.apply_mode() != pb::ApplyMode::Manual;
    let missed = schedule.missed_policy();
    let overlap = schedule.overlap_policy();
    let (title, max_failures) = (schedule.title.clone(), schedule.max_failures);
    let (cron, time_zone) = (schedule.cron.clone(), schedule.time_zone.clone());
    let before = StoredValue::new(schedule);
    let submit = move |event: SubmitEvent| {
        let Some((_, data)) = browser::submitted(&event) else {
            return;
        };
        busy.set(true);
        error.set(None);
        let schedule = told(before.get_value(), &data);
        spawn_local(async move {
            match save(schedule).await {
                Ok(saved) => {
                    done.run(saved);
                }
                Err(problem) => {
                    error.try_set(Some(problem));
                }
            }
            busy.try_set(false);
        });
    };
    view! {
        <form class="schedule-form" on:submit=submit aria-label="Schedule">
            <Field label="What is to be done?" id="schedule-prompt">
                <textarea
                    class="input"
                    id="schedule-prompt"
                    name="prompt"
                    rows="3"
                    required
                    maxlength="200000"
                    prop:value=prompt
                ></textarea>
            </Field>
            <Rule cron time_zone />
            <details class="schedule-fold">
                <summary>"Name and policies"</summary>
                <div class="schedule-policies">
                    <Field label="Name" id="schedule-title" hint="The first words of the prompt if it has none">
                        <input
                            class="input"
                            id="schedule-title"
                            name="title"
                            maxlength="100"
                            aria-describedby="schedule-title-hint"
                            prop:value=title
                        />
                    </Field>
                    <Field label="Missed while the server was away" id="schedule-missed">
                        <select class="input" id="schedule-missed" name="missed">
                            {choice("one", "Run once, for the latest", missed == pb::MissedPolicy::One)}
                            {choice("skip", "Skip", missed == pb::MissedPolicy::Skip)}
                            {choice("all", "Run all, ten at most", missed == pb::MissedPolicy::All)}
                        </select>
                    </Field>
                    <Field label="While a run is not over" id="schedule-overlap">
                        <select class="input" id="schedule-overlap" name="overlap">
                            {choice("skip", "Skip", overlap == pb::OverlapPolicy::Skip)}
                            {choice("queue", "Queue behind it", overlap == pb::OverlapPolicy::Queue)}
                            {choice("cancel", "Cancel it", overlap == pb::OverlapPolicy::CancelPrevious)}
                        </select>
                    </Field>
                    <Field label="Stop after failures in a row" id="schedule-failures" hint="0 for never">
                        <input
                            class="input"
                            id="schedule-failures"
                            name="max_failures"
                            type="number"
                            aria-describedby="schedule-failures-hint"
                            min="0"
                            max="100"
                            prop:value=max_failures.to_string()
                        />
                    </Field>
                </div>
            </details>
            <div class="run-foot">
                <label class="check">
                    <input type="checkbox" name="applies" value="yes" checked=applies />
                    "Apply what it makes if nothing has changed here"
                </label>
                <button type="submit" class="button primary" disabled=move || busy.get()>
                    {if is_new { "Create schedule" } else { "Save" }}
                </button>
            </div>
            <InlineProblem error />
        </form>
    }
    .into_any()
}

fn choice(value: &'static str, words: &'static str, selected: bool) -> impl IntoView {
    view! { <option value=value selected=selected>{words}</option> }
}

fn told(before: pb::Schedule, data: &web_sys::FormData) -> pb::Schedule {
    let field = |name| browser::field(data, name);
    let apply_mode = match field("applies").as_str() {
        "" => pb::ApplyMode::Manual,
        _ => pb::ApplyMode::IfUnchanged,
    };
    let missed_policy = match field("missed").as_str() {
        "skip" => pb::MissedPolicy::Skip,
        "all" => pb::MissedPolicy::All,
        _ => pb::MissedPolicy::One,
    };
    let overlap_policy = match field("overlap").as_str() {
        "queue" => pb::OverlapPolicy::Queue,
        "cancel" => pb::OverlapPolicy::CancelPrevious,
        _ => pb::OverlapPolicy::Skip,
    };
    pb::Schedule {
        title: field("title"),
        cron: field("cron"),
        time_zone: field("time_zone"),
        spec: Some(pb::RunSpec {
            prompt: field("prompt"),
            apply_mode: apply_mode.into(),
            ..before.spec.unwrap_or_default()
        }),
        missed_policy: missed_policy.into(),
        overlap_policy: overlap_policy.into(),
        max_failures: field("max_failures").parse().unwrap_or_default(),
        ..before
    }
}

async fn save(schedule: pb::Schedule) -> Result<pb::Schedule, ApiError> {
    let workspace_id = schedule.workspace_id.clone();
    if schedule.id.is_empty() {
        let request = pb::CreateScheduleRequest {
            workspace_id,
            schedule: Some(pb::Schedule {
                enabled: true,
                ..schedule
            }),
            request_id: browser::request_id(),
        };
        let answer = api::schedules().create_schedule(request).await?;
        return answer
            .into_inner()
            .schedule
            .ok_or_else(ApiError::incomplete);
    }
    update(schedule, &FIELDS).await
}

/// Changes these fields, unless somebody else has changed the schedule meanwhile.
pub(super) async fn update(
    schedule: pb::Schedule,
    fields: &[&str],
) -> Result<pb::Schedule, ApiError> {
    let request = pb::UpdateScheduleRequest {
        workspace_id: schedule.workspace_id.clone(),
        etag: schedule.etag.clone(),
        schedule: Some(schedule),
        update_mask: Some(prost_types::FieldMask {
            paths: fields.iter().map(|field| (*field).to_owned()).collect(),
        }),
    };
    let answer = api::schedules().update_schedule(request).await?;
    answer
        .into_inner()
        .schedule
        .ok_or_else(ApiError::incomplete)
}

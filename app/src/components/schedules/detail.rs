//! One schedule: when it fires, what came of it, and the form to change it.

use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate},
};
use membrane_proto::v1 as pb;

use super::{
    SchedulePill, Times,
    form::{ScheduleForm, update},
};
use crate::{
    api::{self, ApiError},
    browser,
    components::{
        changes::review::may_discard,
        header::Header,
        icon::{Glyph, Icon},
        problem::{InlineProblem, PageProblem},
        runs,
        skeleton::Skeleton,
    },
    format,
};

/// Runs of the history.
const HISTORY: i32 = 60;

/// The page's parts share this.
#[derive(Clone, Copy)]
struct Live {
    schedule: RwSignal<pb::Schedule>,
    /// Why the latest call failed.
    error: RwSignal<Option<ApiError>>,
}

/// The schedule that an address names.
#[component]
pub fn SchedulePage() -> impl IntoView {
    let path = use_location().pathname;
    let at = Memo::new(move |_| {
        path.with(|path| {
            let name = |at| path.split('/').nth(at).unwrap_or_default().to_owned();
            (name(2), name(4))
        })
    });
    let schedule = Resource::new(
        move || at.get(),
        |(workspace, id)| api::load(get(workspace, id)),
    );
    let history = Resource::new(
        move || at.get(),
        |(workspace, id)| api::load(history(workspace, id)),
    );
    let page = move || {
        Suspend::new(async move {
            let may_change = may_discard().await;
            match (schedule.await, history.await) {
                (Ok(schedule), Ok(history)) => {
                    let runs = history.0.runs;
                    view! { <Page schedule=schedule.0 runs may_change /> }.into_any()
                }
                (Err(error), _) | (_, Err(error)) => view! { <PageProblem error /> }.into_any(),
            }
        })
    };
    view! {
        <Header title="Schedule" />
        <div class="page">
            <Transition fallback=|| {
                view! { <Skeleton lines=8 /> }
            }>{page}</Transition>
        </div>
    }
    .into_any()
}

#[component]
fn Page(schedule: pb::Schedule, runs: Vec<pb::Run>, may_change: bool) -> impl IntoView {
    let name = schedule.title.clone();
    let prompt = schedule.spec.clone().unwrap_or_default().prompt;
    let live = Live {
        schedule: RwSignal::new(schedule),
        error: RwSignal::new(None),
    };
    let head = move || {
        let schedule = live.schedule.get();
        let stopped = !schedule.disabled_reason.is_empty();
        let actions = may_change.then(|| view! { <Actions live enabled=schedule.enabled /> });
        view! {
            <SchedulePill enabled=schedule.enabled stopped />
            {actions}
        }
    };
    let words = move || {
        let schedule = live.schedule.get();
        let said = [schedule.disabled_reason, schedule.last_error];
        let said = said.into_iter().filter(|text| !text.is_empty());
        let said = said.map(|text| view! { <p class="run-message">{text}</p> });
        view! {
            {said.collect_view()}
            <p>{schedule.description} " (" <code>{schedule.cron}</code> ", " {schedule.time_zone} ")"</p>
            <Times times=schedule.next_times />
        }
    };
    let form = may_change.then(|| {
        let done = Callback::new(move |saved: pb::Schedule| {
            // The form is made anew with what was saved.
            live.schedule.set(saved);
        });
        view! {
            <details class="block schedule-fold">
                <summary>"Change"</summary>
                {move || {
                    let schedule = live.schedule.get();
                    view! { <ScheduleForm schedule done /> }
                }}
            </details>
        }
    });
    view! {
        <Title text=format!("{name} · Schedule") />
        <section class="block" aria-labelledby="schedule-heading">
            <div class="run-head">
                <h2 class="run-title" id="schedule-heading">
                    <bdi>{move || live.schedule.with(|schedule| schedule.title.clone())}</bdi>
                </h2>
                {head}
            </div>
            <InlineProblem error=live.error />
            {words}
            <pre class="run-prompt">{prompt}</pre>
        </section>
        <section class="block" aria-labelledby="history-heading">
            <h2 class="section-heading" id="history-heading">"History"</h2>
            <History runs />
        </section>
        {form}
    }
    .into_any()
}

#[component]
fn Actions(live: Live, enabled: bool) -> impl IntoView {
    let navigate = StoredValue::new(use_navigate());
    let go = move |address: String| {
        if let Some(navigate) = navigate.try_get_value() {
            navigate(&address, NavigateOptions::default());
        }
    };
    let run_now = move |_| {
        live.error.set(None);
        let schedule = live.schedule.get_untracked();
        spawn_local(async move {
            match run(schedule).await {
                Ok(run) => go(format!("/workspaces/{}/runs/{}", run.workspace_id, run.id)),
                Err(error) => drop(live.error.try_set(Some(error))),
            }
        });
    };
    let switch = move |_| {
        live.error.set(None);
        let schedule = pb::Schedule {
            enabled: !enabled,
            ..live.schedule.get_untracked()
        };
        spawn_local(async move {
            match update(schedule, &["enabled"]).await {
                Ok(changed) => drop(live.schedule.try_set(changed)),
                Err(error) => drop(live.error.try_set(Some(error))),
            }
        });
    };
    let delete = move |_| {
        if !browser::confirm("Delete this schedule? Its runs stay.") {
            return;
        }
        live.error.set(None);
        let schedule = live.schedule.get_untracked();
        spawn_local(async move {
            let workspace_id = schedule.workspace_id.clone();
            let request = pb::DeleteScheduleRequest {
                workspace_id: schedule.workspace_id,
                schedule_id: schedule.id,
            };
            match api::schedules().delete_schedule(request).await {
                Ok(_) => go(format!("/workspaces/{workspace_id}/schedules")),
                Err(status) => drop(live.error.try_set(Some(status.into()))),
            }
        });
    };
    view! {
        <button type="button" class="button small" on:click=run_now>
            <Glyph icon=Icon::Cube />
            "Run now"
        </button>
        <button type="button" class="button small" on:click=switch>
            {if enabled { "Turn off" } else { "Turn on" }}
        </button>
        <button type="button" class="button small danger" on:click=delete>
            <Glyph icon=Icon::Trash />
            "Delete"
        </button>
    }
    .into_any()
}

/// Outcomes in a row, the latest last.
#[component]
fn History(mut runs: Vec<pb::Run>) -> impl IntoView {
    if runs.is_empty() {
        return view! { <p class="quiet">"It has made no runs yet."</p> }.into_any();
    }
    runs.reverse();
    let outcome = |run: pb::Run| {
        let (word, class) = runs::words(run.state());
        let time = run.slot_time.or(run.create_time).unwrap_or_default();
        let words = format!("{word}, {}", format::utc(&time));
        let href = format!("/workspaces/{}/runs/{}", run.workspace_id, run.id);
        view! {
            <li>
                <a class=format!("outcome {class}") href=href title=words.clone()>
                    <span class="for-readers">{words.clone()}</span>
                </a>
            </li>
        }
    };
    view! { <ol class="outcomes">{runs.into_iter().map(outcome).collect_view()}</ol> }.into_any()
}

async fn get(workspace_id: String, schedule_id: String) -> Result<pb::Schedule, ApiError> {
    let request = pb::GetScheduleRequest {
        workspace_id,
        schedule_id,
    };
    let answer = api::schedules().get_schedule(request).await?.into_inner();
    answer.schedule.ok_or_else(ApiError::incomplete)
}

async fn history(
    workspace_id: String,
    schedule_id: String,
) -> Result<pb::ListRunsResponse, ApiError> {
    let request = pb::ListRunsRequest {
        workspace_id,
        schedule_id,
        page_size: HISTORY,
        ..Default::default()
    };
    Ok(api::runs().list_runs(request).await?.into_inner())
}

async fn run(schedule: pb::Schedule) -> Result<pb::Run, ApiError> {
    let request = pb::RunScheduleRequest {
        workspace_id: schedule.workspace_id,
        schedule_id: schedule.id,
        request_id: browser::request_id(),
    };
    let answer = api::schedules().run_schedule(request).await?.into_inner();
    answer.run.ok_or_else(ApiError::incomplete)
}

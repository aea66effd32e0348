//! A workspace's schedules, and a form for another.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use membrane_proto::v1 as pb;

use super::{SchedulePill, form::ScheduleForm};
use crate::{
    api::{self, ApiError},
    components::{
        changes::review::may_discard,
        from_terminal::FromTerminal,
        header::Header,
        icon::{Glyph, Icon},
        problem::PageProblem,
        skeleton::Skeleton,
    },
    context::Place,
};

/// The page.
#[component]
pub fn SchedulesPage() -> impl IntoView {
    let place = expect_context::<Place>();
    let list = Resource::new(
        move || place.workspace_id.get(),
        |workspace_id| api::load(schedules(workspace_id.unwrap_or_default())),
    );
    let rows = move || {
        Suspend::new(async move {
            let may_change = may_discard().await;
            let workspace_id = place.workspace_id.get_untracked().unwrap_or_default();
            match list.await {
                Ok(found) => {
                    let found = found.0.schedules;
                    let open = found.is_empty();
                    let form = may_change
                        .then(|| view! { <New workspace_id=workspace_id.clone() open /> });
                    view! {
                        {form}
                        {rows(&workspace_id, found)}
                    }
                    .into_any()
                }
                Err(error) => view! { <PageProblem error /> }.into_any(),
            }
        })
    };
    view! {
        <Title text="Schedules" />
        <Header title="Schedules" />
        <div class="page">
            <Transition fallback=|| {
                view! { <Skeleton lines=6 /> }
            }>{rows}</Transition>
        </div>
    }
    .into_any()
}

#[component]
fn New(workspace_id: String, open: bool) -> impl IntoView {
    let navigate = use_navigate();
    let done = Callback::new(move |made: pb::Schedule| {
        navigate(&address(&made), NavigateOptions::default());
    });
    let schedule = pb::Schedule {
        workspace_id,
        cron: "0 3 * * *".to_owned(),
        max_failures: 5,
        ..Default::default()
    };
    view! {
        <details class="block schedule-fold" open=open>
            <summary>"New schedule"</summary>
            <ScheduleForm schedule done />
        </details>
    }
    .into_any()
}

fn rows(workspace_id: &str, found: Vec<pb::Schedule>) -> impl IntoView + use<> {
    if found.is_empty() {
        let workspace_id = workspace_id.to_owned();
        return view! { <Empty workspace_id /> }.into_any();
    }
    view! { <ul class="rows">{found.into_iter().map(row).collect_view()}</ul> }.into_any()
}

fn row(schedule: pb::Schedule) -> impl IntoView {
    let href = address(&schedule);
    let stopped = !schedule.disabled_reason.is_empty();
    let next = schedule.next_times.first().map(|next| {
        let local = next.local_time.clone();
        view! { <span class="row-time">{local}</span> }
    });
    let failing = (schedule.failures > 0).then(|| {
        view! { <span class="run-mark wait">{format!("{} failed", schedule.failures)}</span> }
    });
    view! {
        <li>
            <a href=href class="row">
                <SchedulePill enabled=schedule.enabled stopped />
                <span class="row-main">
                    <span class="row-title"><bdi>{schedule.title}</bdi></span>
                    <span class="row-sub">{schedule.description} ", " {schedule.time_zone}</span>
                </span>
                {failing}
                {next}
            </a>
        </li>
    }
    .into_any()
}

fn address(schedule: &pb::Schedule) -> String {
    format!(
        "/workspaces/{}/schedules/{}",
        schedule.workspace_id, schedule.id
    )
}

/// Teaches what a schedule is.
#[component]
fn Empty(workspace_id: String) -> impl IntoView {
    let request = format!(
        "{{\"workspace_id\": \"{workspace_id}\", \"schedule\": {{\"cron\": \"0 3 * * *\", \
         \"time_zone\": \"UTC\", \"enabled\": true, \"spec\": {{\"prompt\": \"Tidy up.\"}}}}}}"
    );
    view! {
        <section class="empty">
            <span class="empty-icon"><Glyph icon=Icon::Clock /></span>
            <h2>"No schedules yet"</h2>
            <p>
                "A schedule queues a run whenever its rule says so: every night, on Mondays, at the "
                "first of the month. The rule is read in a time zone, and keeps to it when clocks change."
            </p>
            <FromTerminal method="ScheduleService/CreateSchedule" request />
        </section>
    }
    .into_any()
}

async fn schedules(workspace_id: String) -> Result<pb::ListSchedulesResponse, ApiError> {
    let request = pb::ListSchedulesRequest { workspace_id };
    let answer = api::schedules().list_schedules(request).await?;
    Ok(answer.into_inner())
}

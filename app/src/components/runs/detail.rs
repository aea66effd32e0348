//! One run: where it is, what it does, what it said, what it made.

use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate},
};
use membrane_proto::v1::{self as pb, event_payload::Kind};

use super::{RunPill, is_final, log::Log, result::ResultPanel, title};
use crate::{
    api::{self, ApiError},
    components::{
        changes::review::may_discard,
        header::Header,
        icon::{Glyph, Icon},
        problem::{InlineProblem, PageProblem},
        skeleton::Skeleton,
        time::Time,
    },
    format,
    stream::{Item, Stream, Topic},
};

/// Events that are shown at first.
const PAGE: i32 = 1_000;

/// The page's parts share this.
#[derive(Clone, Copy)]
pub(super) struct Live {
    /// The run.
    pub run: RwSignal<pb::Run>,
    /// What its log has told since the page was made.
    pub events: RwSignal<Vec<pb::Event>>,
    /// Why the latest call failed.
    pub error: RwSignal<Option<ApiError>>,
}

impl Live {
    /// Reads the run again.
    pub fn reload(self) {
        let Some(id) = self.run.try_with_untracked(|run| run.id.clone()) else {
            return;
        };
        spawn_local(async move {
            match get(id).await {
                Ok(run) => {
                    self.run.try_set(run);
                }
                Err(error) => {
                    self.error.try_set(Some(error));
                }
            }
        });
    }
}

/// The run that an address names.
#[component]
pub fn RunDetail() -> impl IntoView {
    let path = use_location().pathname;
    let id =
        Memo::new(move |_| path.with(|path| path.split('/').nth(4).unwrap_or_default().to_owned()));
    let run = Resource::new(move || id.get(), |id| api::load(get(id)));
    let history = Resource::new(move || id.get(), |id| api::load(history(id)));
    let page = move || {
        Suspend::new(async move {
            let may_change = may_discard().await;
            match (run.await, history.await) {
                (Ok(run), Ok(history)) => {
                    let events = history.0.events;
                    view! { <Page run=run.0 events may_change /> }.into_any()
                }
                (Err(error), _) | (_, Err(error)) => view! { <PageProblem error /> }.into_any(),
            }
        })
    };
    view! {
        <Header title="Run" />
        <div class="page">
            <Transition fallback=|| {
                view! { <Skeleton lines=8 /> }
            }>{page}</Transition>
        </div>
    }
    .into_any()
}

#[component]
fn Page(run: pb::Run, events: Vec<pb::Event>, may_change: bool) -> impl IntoView {
    let name = title(&run);
    let prompt = run.spec.clone().unwrap_or_default().prompt;
    let live = Live {
        run: RwSignal::new(run),
        events: RwSignal::new(Vec::new()),
        error: RwSignal::new(None),
    };
    follow(live, &events);
    let state = move || {
        let run = live.run.get();
        let cancellable = may_change && !is_final(run.state()) && !run.cancel_requested;
        view! {
            <RunPill state=run.state() cancelling=run.cancel_requested />
            {cancellable.then(|| view! { <Cancel live /> })}
            {(may_change && is_final(run.state())).then(|| view! { <Again live /> })}
        }
    };
    let message = move || {
        let message = live.run.with(|run| run.message.clone());
        (!message.is_empty()).then(|| view! { <p class="run-message">{message}</p> })
    };
    view! {
        <Title text=format!("{name} · Run") />
        <section class="block" aria-labelledby="run-heading">
            <div class="run-head">
                <h2 class="run-title" id="run-heading"><bdi>{name}</bdi></h2>
                {state}
            </div>
            <InlineProblem error=live.error />
            {message}
            {move || view! { <Facts run=live.run.get() /> }}
            <pre class="run-prompt">{prompt}</pre>
        </section>
        {move || view! { <ResultPanel run=live.run.get() live may_change /> }}
        <section class="block" aria-labelledby="log-heading">
            <h2 class="section-heading" id="log-heading">"Log"</h2>
            <Log history=events live />
        </section>
    }
    .into_any()
}

#[component]
fn Facts(run: pb::Run) -> impl IntoView {
    let spec = run.spec.clone().unwrap_or_default();
    let fact = |name: &'static str, value: AnyView| {
        view! {
            <div class="run-fact">
                <dt>{name}</dt>
                <dd>{value}</dd>
            </div>
        }
    };
    let time = |time| view! { <Time time /> }.into_any();
    let started = run
        .start_time
        .is_some()
        .then(|| fact("Began", time(run.start_time)));
    let ended = run
        .end_time
        .is_some()
        .then(|| fact("Ended", time(run.end_time)));
    let runner = (!run.runner_name.is_empty()).then(|| {
        let name = run.runner_name.clone();
        fact("Runner", view! { <bdi>{name}</bdi> }.into_any())
    });
    let usage = run.usage.unwrap_or_default();
    let used = (usage.requests > 0).then(|| {
        let used = format!(
            "{} tokens, {}",
            format::tokens(&usage),
            format::usage_cost(&usage)
        );
        fact("Used", used.into_any())
    });
    let repeats = (!run.retry_of_run_id.is_empty()).then(|| {
        let earlier = format!(
            "/workspaces/{}/runs/{}",
            run.workspace_id, run.retry_of_run_id
        );
        fact(
            "Repeats",
            view! { <a href=earlier>"an earlier run"</a> }.into_any(),
        )
    });
    let attempts = match run.attempt {
        0 => "none yet".to_owned(),
        attempt => format!("{attempt} of {}", spec.max_attempts),
    };
    let base = format!(
        "/workspaces/{}/snapshots/{}",
        run.workspace_id, spec.base_snapshot_id
    );
    view! {
        <dl class="run-facts">
            {fact("Queued", time(run.create_time))}
            {started}
            {ended}
            {runner}
            {used}
            {fact("Attempt", attempts.into_any())}
            {repeats}
            {fact("Began with", view! { <a href=base>"the files at that moment"</a> }.into_any())}
        </dl>
    }
    .into_any()
}

#[component]
fn Cancel(live: Live) -> impl IntoView {
    let cancel = move |_| {
        live.error.set(None);
        let run_id = live.run.with_untracked(|run| run.id.clone());
        spawn_local(async move {
            match api::runs()
                .cancel_run(pb::CancelRunRequest { run_id })
                .await
            {
                Ok(_) => live.reload(),
                Err(status) => {
                    live.error.try_set(Some(status.into()));
                }
            }
        });
    };
    view! {
        <button type="button" class="button small danger" on:click=cancel>
            <Glyph icon=Icon::Stop />
            "Cancel run"
        </button>
    }
    .into_any()
}

/// Runs the same once more: on the files that it began with, or on those that are there now.
#[component]
fn Again(live: Live) -> impl IntoView {
    let busy = RwSignal::new(false);
    let navigate = use_navigate();
    let again = move |current_files: bool| {
        live.error.set(None);
        busy.set(true);
        let navigate = navigate.clone();
        let run_id = live.run.with_untracked(|run| run.id.clone());
        spawn_local(async move {
            match retry(run_id, current_files).await {
                Ok(run) => navigate(
                    &format!("/workspaces/{}/runs/{}", run.workspace_id, run.id),
                    NavigateOptions::default(),
                ),
                Err(error) => {
                    live.error.try_set(Some(error));
                }
            }
            busy.try_set(false);
        });
    };
    let on_current = again.clone();
    view! {
        <div class="run-again">
            <button
                type="button"
                class="button small"
                disabled=busy
                on:click=move |_| on_current(true)
            >
                <Glyph icon=Icon::Retry />
                "Run again"
            </button>
            <button
                type="button"
                class="button small"
                disabled=busy
                on:click=move |_| again(false)
            >
                "On the same files"
            </button>
        </div>
    }
    .into_any()
}

async fn retry(run_id: String, current_files: bool) -> Result<pb::Run, ApiError> {
    let request = pb::RetryRunRequest {
        run_id,
        current_files,
        ..Default::default()
    };
    let answer = api::runs().retry_run(request).await?.into_inner();
    answer.run.ok_or_else(ApiError::incomplete)
}

/// Follows what happens after what is stored. Whenever the state changes, the run is read again.
fn follow(live: Live, events: &[pb::Event]) {
    let stream = expect_context::<Stream>();
    let topic = Topic::Log(live.run.with_untracked(|run| format!("runs/{}", run.id)));
    let after = events.last().map_or(0, |event| event.sequence);
    Effect::new(move || {
        stream.watch(topic.clone(), after, move |item| {
            let Item::Event(event) = item else {
                return;
            };
            let kind = event
                .payload
                .as_ref()
                .and_then(|payload| payload.kind.as_ref());
            if matches!(kind, Some(Kind::RunStateChanged(_))) {
                live.reload();
            }
            live.events.try_update(|all| all.push(event));
        });
    });
}

async fn get(run_id: String) -> Result<pb::Run, ApiError> {
    let request = pb::GetRunRequest { run_id };
    let answer = api::runs().get_run(request).await?.into_inner();
    answer.run.ok_or_else(ApiError::incomplete)
}

async fn history(run_id: String) -> Result<pb::ListEventsResponse, ApiError> {
    let request = pb::ListEventsRequest {
        stream: format!("runs/{run_id}"),
        before_sequence: i64::MAX,
        page_size: PAGE,
        ..Default::default()
    };
    Ok(api::events().list_events(request).await?.into_inner())
}

/// How long something took, as words; nothing if it has not ended.
pub(super) fn took(run: &pb::Run) -> Option<String> {
    let (start, end) = (run.start_time?, run.end_time?);
    let millis =
        (end.seconds - start.seconds) * 1_000 + i64::from(end.nanos - start.nanos) / 1_000_000;
    Some(format::duration(&prost_types::Duration {
        seconds: millis / 1_000,
        nanos: i32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000,
    }))
}

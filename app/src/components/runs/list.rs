//! A workspace's runs, the latest first, and a form for another.

use std::time::Duration;

use leptos::prelude::*;
use leptos_router::hooks::use_location;
use membrane_proto::v1::{self as pb, RunState};

use super::{RunPill, applied, is_final, queue::Queue, title};
use crate::{
    api::{self, ApiError},
    browser,
    changes::page_in,
    components::{
        changes::review::may_discard,
        from_terminal::FromTerminal,
        icon::{Glyph, Icon},
        problem::PageProblem,
        skeleton::Skeleton,
        time::Time,
    },
    context::Place,
    format, query,
};

/// While something of the list goes on, it is read again so often.
const AGAIN: Duration = Duration::from_secs(5);
/// Which runs are listed: the word in the address, its name, and the states.
const FILTERS: [(&str, &str, &[RunState]); 5] = [
    ("", "All", &[]),
    (
        "open",
        "Not ended",
        &[RunState::Queued, RunState::Claimed, RunState::Running],
    ),
    ("succeeded", "Succeeded", &[RunState::Succeeded]),
    ("failed", "Failed", &[RunState::Failed]),
    ("cancelled", "Cancelled", &[RunState::Cancelled]),
];

/// What the list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Address {
    workspace_id: String,
    /// One of the filters' words.
    show: String,
    /// Token of the page; empty for the first.
    page: String,
}

impl Address {
    fn new(workspace_id: Option<String>, query: &str) -> Self {
        Self {
            workspace_id: workspace_id.unwrap_or_default(),
            show: query::value(query, "show").unwrap_or_default(),
            page: page_in(query),
        }
    }

    /// The states that are listed; none for all.
    fn states(&self) -> Vec<i32> {
        let found = FILTERS.iter().find(|(word, ..)| *word == self.show);
        let states = found.map_or(FILTERS[0].2, |(.., states)| states);
        states.iter().map(|state| i32::from(*state)).collect()
    }

    fn showing(&self, show: &str) -> String {
        self.href(show, "")
    }

    fn at_page(&self, page: &str) -> String {
        self.href(&self.show, page)
    }

    fn href(&self, show: &str, page: &str) -> String {
        let mut href = format!("/workspaces/{}/runs", self.workspace_id);
        query::push(&mut href, [("show", Some(show)), ("page", Some(page))]);
        href
    }
}

/// The list.
#[component]
pub fn RunList() -> impl IntoView {
    let place = expect_context::<Place>();
    let search = use_location().search;
    let address = Memo::new(move |_| Address::new(place.workspace_id.get(), &search.read()));
    let runs = Resource::new(move || address.get(), |address| api::load(runs(address)));
    follow(runs);
    // Not made anew with the list: somebody may be writing in it.
    let form = move || {
        let workspace_id = place.workspace_id.get().unwrap_or_default();
        Suspend::new(async move {
            let may_change = may_discard().await;
            may_change.then(|| view! { <Queue workspace_id /> })
        })
    };
    let rows = move || {
        Suspend::new(async move {
            match runs.await {
                Ok(found) => rows(&address.get_untracked(), found.0).into_any(),
                Err(error) => view! { <PageProblem error /> }.into_any(),
            }
        })
    };
    view! {
        <Transition fallback=|| {
            view! { <Skeleton lines=6 /> }
        }>{form} {rows}</Transition>
    }
    .into_any()
}

/// Reads the list again as long as something of it goes on and somebody looks.
fn follow(runs: Resource<api::Reply<pb::ListRunsResponse>>) {
    Effect::new(move || {
        let is_open = |run: &pb::Run| !is_final(run.state());
        let goes_on = runs.with(|found| match found {
            Some(Ok(found)) => found.0.runs.iter().any(is_open),
            Some(Err(error)) => error.is_transient(),
            None => false,
        });
        if !goes_on {
            return;
        }
        let waiting = set_timeout_with_handle(
            move || match browser::is_hidden() {
                true => runs.update(|_| {}),
                false => runs.refetch(),
            },
            AGAIN,
        );
        on_cleanup(move || {
            if let Ok(waiting) = waiting {
                waiting.clear();
            }
        });
    });
}

fn rows(address: &Address, found: pb::ListRunsResponse) -> impl IntoView + use<> {
    let is_plain = address.show.is_empty() && address.page.is_empty();
    if found.runs.is_empty() && is_plain {
        let workspace_id = address.workspace_id.clone();
        return view! { <Empty workspace_id /> }.into_any();
    }
    let nothing = found.runs.is_empty().then(|| {
        view! { <p class="field-hint">"No run is like this."</p> }
    });
    let latest = (!address.page.is_empty()).then(|| {
        view! { <a class="button small" href=address.at_page("")>"Latest"</a> }
    });
    let older = (!found.next_page_token.is_empty()).then(|| {
        let href = address.at_page(&found.next_page_token);
        view! { <a class="button small" href=href rel="next">"Older"</a> }
    });
    view! {
        {filters(address)}
        {nothing}
        <ul class="rows">{found.runs.into_iter().map(row).collect_view()}</ul>
        <p class="pager">{latest} {older}</p>
    }
    .into_any()
}

fn filters(address: &Address) -> impl IntoView + use<> {
    let links = FILTERS.map(|(word, name, _)| {
        let current = (address.show == word).then_some("true");
        view! {
            <a class="button small" href=address.showing(word) aria-current=current>
                {name}
            </a>
        }
    });
    view! {
        <nav class="filter-kinds run-filters" aria-label="Which runs">
            {links.into_iter().collect_view()}
        </nav>
    }
}

fn row(run: pb::Run) -> impl IntoView {
    let href = format!("/workspaces/{}/runs/{}", run.workspace_id, run.id);
    let mark = applied(&run).map(|(word, class)| {
        view! { <span class=format!("run-mark {class}")>{word}</span> }
    });
    let attempts = (run.attempt > 1).then(|| {
        view! { <span>{format::count(run.attempt.into(), "attempt", "attempts")}</span> }
    });
    let runner = (!run.runner_name.is_empty()).then(|| {
        view! { <bdi class="cut">{run.runner_name.clone()}</bdi> }
    });
    view! {
        <li>
            <a href=href class="row">
                <RunPill state=run.state() cancelling=run.cancel_requested />
                <span class="row-main">
                    <span class="row-title"><bdi>{title(&run)}</bdi></span>
                    <span class="row-sub">{runner} {attempts}</span>
                </span>
                {mark}
                <span class="row-time"><Time time=run.create_time /></span>
            </a>
        </li>
    }
    .into_any()
}

/// Teaches what a run is.
#[component]
fn Empty(workspace_id: String) -> impl IntoView {
    let request =
        format!("{{\"workspace_id\": \"{workspace_id}\", \"spec\": {{\"prompt\": \"Tidy up.\"}}}}");
    view! {
        <section class="empty">
            <span class="empty-icon"><Glyph icon=Icon::Cube /></span>
            <h2>"No runs yet"</h2>
            <p>
                "A run is a job that outlives this page. It begins with the files as they are when it is "
                "queued, an agent works on a copy, and what it makes comes back here: by itself if nothing "
                "has changed meanwhile, otherwise you choose. Nobody is asked while it works."
            </p>
            <FromTerminal method="RunService/CreateRun" request />
        </section>
    }
    .into_any()
}

async fn runs(address: Address) -> Result<pb::ListRunsResponse, ApiError> {
    let request = pb::ListRunsRequest {
        states: address.states(),
        workspace_id: address.workspace_id,
        page_token: address.page,
        ..Default::default()
    };
    Ok(api::runs().list_runs(request).await?.into_inner())
}

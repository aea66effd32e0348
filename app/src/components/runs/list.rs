//! A workspace's runs, the latest first, and a form for another.

use leptos::prelude::*;
use leptos_router::hooks::use_location;
use membrane_proto::v1 as pb;

use super::{RunPill, applied, queue::Queue, title};
use crate::{
    api::{self, ApiError},
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

/// The list.
#[component]
pub fn RunList() -> impl IntoView {
    let place = expect_context::<Place>();
    let search = use_location().search;
    let at = Memo::new(move |_| (place.workspace_id.get(), page_in(&search.read())));
    let runs = Resource::new(
        move || at.get(),
        |(workspace_id, page)| api::load(runs(workspace_id.unwrap_or_default(), page)),
    );
    let rows = move || {
        Suspend::new(async move {
            let may_change = may_discard().await;
            let (workspace_id, page) = at.get_untracked();
            let workspace_id = workspace_id.unwrap_or_default();
            match runs.await {
                Ok(found) => {
                    let form =
                        may_change.then(|| view! { <Queue workspace_id=workspace_id.clone() /> });
                    view! {
                        {form}
                        {rows(&workspace_id, &page, found.0)}
                    }
                    .into_any()
                }
                Err(error) => view! { <PageProblem error /> }.into_any(),
            }
        })
    };
    view! {
        <Transition fallback=|| {
            view! { <Skeleton lines=6 /> }
        }>{rows}</Transition>
    }
    .into_any()
}

fn rows(workspace_id: &str, page: &str, found: pb::ListRunsResponse) -> impl IntoView + use<> {
    if found.runs.is_empty() && page.is_empty() {
        let workspace_id = workspace_id.to_owned();
        return view! { <Empty workspace_id /> }.into_any();
    }
    let rows = found.runs.into_iter().map(row).collect_view();
    let latest = (!page.is_empty()).then(|| {
        view! { <a class="button small" href=address(workspace_id, "")>"Latest"</a> }
    });
    let older = (!found.next_page_token.is_empty()).then(|| {
        let href = address(workspace_id, &found.next_page_token);
        view! { <a class="button small" href=href rel="next">"Older"</a> }
    });
    view! {
        <ul class="rows">{rows}</ul>
        <p class="pager">{latest} {older}</p>
    }
    .into_any()
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

fn address(workspace_id: &str, page: &str) -> String {
    let mut href = format!("/workspaces/{workspace_id}/runs");
    query::push(&mut href, [("page", Some(page))]);
    href
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

async fn runs(workspace_id: String, page_token: String) -> Result<pb::ListRunsResponse, ApiError> {
    let request = pb::ListRunsRequest {
        workspace_id,
        page_token,
        ..Default::default()
    };
    Ok(api::runs().list_runs(request).await?.into_inner())
}

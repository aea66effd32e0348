//! What changed in a workspace, turn by turn, the latest first.

use std::collections::HashMap;

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_location;
use membrane_proto::v1 as pb;

use crate::{
    api::{self, ApiError},
    changes::{list_address, page_in},
    components::{
        changes::{empty::NoChangeSets, keys::listen_on_list, set_row::SetRow},
        header::Header,
        problem::PageProblem,
        rail::titles,
        skeleton::Skeleton,
    },
    context::Place,
};

/// The page.
#[component]
pub fn ChangeSets() -> impl IntoView {
    let place = expect_context::<Place>();
    let search = use_location().search;
    let at = Memo::new(move |_| (place.workspace_id.get(), page_in(&search.read())));
    let sets = Resource::new(
        move || at.get(),
        |(workspace_id, page)| api::load(change_sets(workspace_id.unwrap_or_default(), page)),
    );
    listen_on_list();
    view! {
        <Title text="Changes" />
        <Header title="Changes" />
        <div class="page">
            <Transition fallback=|| {
                view! { <Skeleton lines=6 /> }
            }>
                {move || Suspend::new(async move {
                    let titles = titles(place).await;
                    let (workspace_id, page) = at.get_untracked();
                    let workspace_id = workspace_id.unwrap_or_default();
                    match sets.await {
                        Ok(sets) => list(&workspace_id, &page, sets.0, &titles).into_any(),
                        Err(error) => view! { <PageProblem error /> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
    .into_any()
}

fn list(
    workspace_id: &str,
    page: &str,
    sets: pb::ListChangeSetsResponse,
    titles: &HashMap<String, String>,
) -> impl IntoView + use<> {
    if sets.change_sets.is_empty() && page.is_empty() {
        let workspace_id = workspace_id.to_owned();
        return view! { <NoChangeSets workspace_id /> }.into_any();
    }
    let rows = sets
        .change_sets
        .into_iter()
        .map(|set| {
            let title = titles.get(&set.session_id).cloned();
            view! { <SetRow workspace_id=workspace_id.to_owned() set title /> }
        })
        .collect_view();
    let latest = (!page.is_empty()).then(|| {
        view! { <a class="button small" href=list_address(workspace_id, "")>"Latest"</a> }
    });
    let older = (!sets.next_page_token.is_empty()).then(|| {
        let href = list_address(workspace_id, &sets.next_page_token);
        view! { <a class="button small" href=href rel="next">"Older"</a> }
    });
    view! {
        <ul class="rows">{rows}</ul>
        <p class="pager">{latest} {older}</p>
    }
    .into_any()
}

async fn change_sets(
    workspace_id: String,
    page_token: String,
) -> Result<pb::ListChangeSetsResponse, ApiError> {
    let request = pb::ListChangeSetsRequest {
        workspace_id,
        page_token,
        ..Default::default()
    };
    Ok(api::changes().list_change_sets(request).await?.into_inner())
}

//! What happened at the boundary of a workspace, the latest first.

use std::collections::HashMap;

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_location;
use membrane_proto::v1 as pb;

use crate::{
    api::{self, ApiError},
    components::{
        activity::{
            empty::{NoActivity, NoMatch},
            filters::Filters,
            row::ActivityRow,
        },
        header::Header,
        problem::PageProblem,
        rail::titles,
        skeleton::Skeleton,
    },
    context::Place,
    egress::{self, Address},
};

/// The page.
#[component]
pub fn ActivityPage() -> impl IntoView {
    let place = expect_context::<Place>();
    let search = use_location().search;
    let at = Memo::new(move |_| {
        Address::read(place.workspace_id.get().unwrap_or_default(), &search.read())
    });
    let entries = Resource::new(move || at.get(), |address| api::load(entries(address)));
    view! {
        <Title text="Activity" />
        <Header title="Activity" />
        <div class="page">
            <Transition fallback=|| {
                view! { <Skeleton lines=6 /> }
            }>
                {move || Suspend::new(async move {
                    let titles = titles(place).await;
                    let policy = policy(place).await;
                    let address = at.get_untracked();
                    match entries.await {
                        Ok(entries) => {
                            view! {
                                {policy}
                                {list(&address, entries.0, &titles)}
                            }
                                .into_any()
                        }
                        Err(error) => view! { <PageProblem error /> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
    .into_any()
}

fn list(
    address: &Address,
    entries: pb::ListActivityResponse,
    titles: &HashMap<String, String>,
) -> AnyView {
    let workspace_id = address.workspace_id.clone();
    if entries.entries.is_empty() && address.is_plain() {
        return view! { <NoActivity workspace_id /> }.into_any();
    }
    let all = Address {
        workspace_id,
        ..Address::default()
    };
    if entries.entries.is_empty() {
        return view! {
            <Filters address=address.clone() />
            <NoMatch href=all.href() />
        }
        .into_any();
    }
    let rows = entries
        .entries
        .into_iter()
        .map(|entry| {
            let title = titles.get(&entry.session_id).cloned();
            view! { <ActivityRow workspace_id=address.workspace_id.clone() entry title /> }
        })
        .collect_view();
    let turn_to = |page: &str| Address {
        page: page.to_owned(),
        ..address.clone()
    };
    let latest = (!address.page.is_empty())
        .then(|| view! { <a class="button small" href=turn_to("").href()>"Latest"</a> });
    let older = (!entries.next_page_token.is_empty()).then(|| {
        let href = turn_to(&entries.next_page_token).href();
        view! { <a class="button small" href=href rel="next">"Older"</a> }
    });
    view! {
        <Filters address=address.clone() />
        <ul class="rows">{rows}</ul>
        <p class="pager">{latest} {older}</p>
    }
    .into_any()
}

/// What may be reached, and where that is changed.
async fn policy(place: Place) -> Option<AnyView> {
    let workspace = place.workspace.await?.ok()?.0;
    let words = egress::in_words(&workspace.settings.unwrap_or_default());
    let href = format!("/workspaces/{}/settings#network", workspace.id);
    let line = view! {
        <p class="activity-policy quiet">
            {words} ". A tool call may send and receive 4 GiB, a turn 16 GiB. "
            <a href=href>"Change what may be reached"</a>
        </p>
    };
    Some(line.into_any())
}

async fn entries(address: Address) -> Result<pb::ListActivityResponse, ApiError> {
    let filter = address.filter().into();
    let request = pb::ListActivityRequest {
        workspace_id: address.workspace_id,
        filter,
        host: address.host,
        page_size: 0,
        page_token: address.page,
    };
    Ok(api::activity().list_activity(request).await?.into_inner())
}

//! A search of a workspace's files. Its address holds what is searched for.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_location;

use crate::{
    api,
    components::{
        problem::PageProblem,
        search::{Search, form::SearchForm, hits::Hits, load, words::Words},
        skeleton::Skeleton,
    },
    context::Place,
    search::Query,
    text, title,
};

/// The page. It lives on while the search changes.
#[component]
pub fn SearchPage() -> impl IntoView {
    let place = expect_context::<Place>();
    let location = use_location().search;
    let asked = move || location.with_untracked(|search| Query::parse(search));
    let first = Resource::new(
        move || place.workspace_id.get().unwrap_or_default(),
        move |id| {
            let query = asked();
            api::fit(async move { load(id, query).await })
        },
    );
    view! {
        <Transition fallback=|| {
            view! { <div class="page"><Skeleton lines=6 /></div> }
        }>
            {move || Suspend::new(async move {
                let loaded = first.await;
                match place.workspace.await {
                    Some(Ok(workspace)) => {
                        let search = Search::new(workspace.0.id, asked(), loaded);
                        view! { <SearchView search /> }.into_any()
                    }
                    Some(Err(error)) => {
                        view! {
                            <Title text="Search" />
                            <div class="page"><PageProblem error /></div>
                        }
                            .into_any()
                    }
                    None => ().into_any(),
                }
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn SearchView(search: Search) -> impl IntoView {
    search.follow_address();
    let title = title::lasting(move || {
        search.query.try_with(|query| match query.pattern.as_str() {
            "" => "Search".to_owned(),
            pattern => format!("{} · Search", text::plain(pattern)),
        })
    });
    view! {
        <Title text=title />
        <div class="search">
            <h1 class="for-readers">"Search"</h1>
            <SearchForm search />
            <div class="search-found">
                <Words search />
                <Hits search />
            </div>
        </div>
    }
    .into_any()
}

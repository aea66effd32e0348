//! The head of a page: what it is on the left, what can be done on the right.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use crate::context::Place;

/// A page's head.
#[component]
pub fn Header(
    /// What the page is.
    #[prop(into)]
    title: Signal<String>,
    /// What can be done.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    view! {
        <header class="header">
            <Within />
            <h1 class="header-title">{title}</h1>
            <div class="header-actions">{children.map(|children| children())}</div>
        </header>
    }
    .into_any()
}

/// The workspace that a page belongs to; nothing on its own page, and on those of none.
#[component]
fn Within() -> impl IntoView {
    let place = expect_context::<Place>();
    let path = use_location().pathname;
    let workspace = move || {
        let below = path.with(|path| path.trim_matches('/').split('/').count()) > 2;
        Suspend::new(async move {
            let workspace = place.workspace.await.filter(|_| below)?.ok()?.0;
            Some(view! {
                <nav class="header-within" aria-label="Breadcrumb">
                    <a class="crumb" href=format!("/workspaces/{}", workspace.id)>
                        <bdi>{workspace.name}</bdi>
                    </a>
                </nav>
            })
        })
    };
    view! { <Transition>{workspace}</Transition> }.into_any()
}

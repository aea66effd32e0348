//! The head of a page: what it is on the left, what can be done on the right.

use leptos::prelude::*;

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
            <h1 class="header-title">{title}</h1>
            <div class="header-actions">{children.map(|children| children())}</div>
        </header>
    }
    .into_any()
}

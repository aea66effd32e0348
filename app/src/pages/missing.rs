//! An address that shows nothing.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{api, components::icon::Mark};

/// The page; its HTTP status says the same.
#[component]
pub fn Missing() -> impl IntoView {
    api::set_page_status(404);
    view! {
        <Title text="Not found" />
        <main class="sign-in" id="main">
            <div class="sign-in-card">
                <Mark />
                <h1>"There is nothing here"</h1>
                <p>
                    "This address belongs to no page. Nothing was lost: workspaces and sessions are "
                    "where they were."
                </p>
                <p><a class="button primary" href="/">"All workspaces"</a></p>
                <p class="quiet small-text">"Id to quote: " <code>"PAGE_NOT_FOUND"</code></p>
            </div>
        </main>
    }
    .into_any()
}

//! An address that shows nothing.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_location;

use crate::{api, components::icon::Mark, path, text};

/// The page; its HTTP status says the same.
#[component]
pub fn Missing() -> impl IntoView {
    api::set_page_status(404);
    // It travels inside the page, which would differ from what the browser makes of it otherwise.
    let id = SharedValue::new(api::page_id).into_inner();
    let path = text::plain(&path::decode(&use_location().pathname.get_untracked()));
    view! {
        <Title text="Not found" />
        <main class="sign-in" id="main">
            <div class="sign-in-card">
                <Mark />
                <h1>"There is nothing here"</h1>
                <p class="missing-path"><code>{path}</code></p>
                <p>
                    "This address belongs to no page: a part of it may be missing, or it was typed by "
                    "hand. Nothing was lost: workspaces and sessions are where they were."
                </p>
                <p><a class="button primary" href="/">"All workspaces"</a></p>
                <p class="quiet small-text">"Id to quote: " <code>"PAGE_NOT_FOUND " {id}</code></p>
            </div>
        </main>
    }
    .into_any()
}

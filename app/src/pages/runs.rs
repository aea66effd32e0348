//! Jobs for runners, the latest first.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::components::{header::Header, runs::list::RunList};

/// The page.
#[component]
pub fn RunsPage() -> impl IntoView {
    view! {
        <Title text="Runs" />
        <Header title="Runs" />
        <div class="page">
            <RunList />
        </div>
    }
    .into_any()
}

//! Pictures of a workspace's files, the latest first.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::components::{header::Header, snapshots::SnapshotList};

/// The page.
#[component]
pub fn SnapshotsPage() -> impl IntoView {
    view! {
        <Title text="Snapshots" />
        <Header title="Snapshots" />
        <div class="page">
            <SnapshotList />
        </div>
    }
    .into_any()
}

//! What a session is doing, as a dot with a word.

use leptos::prelude::*;

use crate::transcript::Activity;

/// The word and the colour of a state.
pub fn words(activity: Activity) -> (&'static str, &'static str) {
    match activity {
        Activity::Idle => ("Idle", "idle"),
        Activity::Queued => ("Queued", "queued"),
        Activity::Running => ("Running", "running"),
        Activity::Waiting => ("Waiting for you", "waiting"),
    }
}

/// A dot with a word.
#[component]
pub fn StatePill(
    /// What to show.
    #[prop(into)]
    activity: Signal<Activity>,
) -> impl IntoView {
    view! {
        <span class=move || format!("state {}", words(activity.get()).1)>
            <span class="dot"></span>
            <span class="state-word">{move || words(activity.get()).0}</span>
        </span>
    }
    .into_any()
}

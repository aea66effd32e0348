//! Schedules: rules that queue runs, by the clock.

pub mod detail;
mod form;
pub mod list;
mod rule;

use leptos::prelude::*;
use membrane_proto::v1 as pb;

/// Whether a schedule fires, as a dot with a word.
#[component]
fn SchedulePill(enabled: bool, stopped: bool) -> impl IntoView {
    let (word, class) = match (enabled, stopped) {
        (true, _) => ("On", "good"),
        (false, true) => ("Stopped", "bad"),
        (false, false) => ("Off", "idle"),
    };
    view! {
        <span class=format!("state {class}")>
            <span class="dot"></span>
            <span class="state-word">{word}</span>
        </span>
    }
    .into_any()
}

/// The next times in the schedule's zone, with a word where its clocks have been changed.
#[component]
fn Times(times: Vec<pb::FireTime>) -> impl IntoView {
    let line = |time: pb::FireTime| {
        let step = time
            .offset_changed
            .then(|| view! { <span class="run-mark">"clocks change"</span> });
        view! {
            <li>
                <span>{time.local_time}</span>
                " "
                {step}
            </li>
        }
    };
    view! { <ol class="fire-times">{times.into_iter().map(line).collect_view()}</ol> }.into_any()
}

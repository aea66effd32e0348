//! Runs: queued, watched, cancelled, and what they made brought into the workspace.

pub mod detail;
pub mod list;
mod log;
mod queue;
mod result;

use leptos::prelude::*;
use membrane_proto::v1::{self as pb, RunState};

/// A run's state as a dot with a word.
#[component]
pub fn RunPill(
    /// The state.
    state: RunState,
    /// Whether somebody has asked to cancel it.
    cancelling: bool,
) -> impl IntoView {
    let (word, class) = words(state);
    let word = match cancelling && !is_final(state) {
        true => "Cancelling",
        false => word,
    };
    view! {
        <span class=format!("state {class}")>
            <span class="dot"></span>
            <span class="state-word">{word}</span>
        </span>
    }
    .into_any()
}

/// The word and the colour of a state.
pub fn words(state: RunState) -> (&'static str, &'static str) {
    match state {
        RunState::Unspecified => ("Unknown", "idle"),
        RunState::Queued => ("Queued", "queued"),
        RunState::Claimed => ("Claimed", "queued"),
        RunState::Running => ("Running", "running"),
        RunState::Succeeded => ("Succeeded", "good"),
        RunState::Failed => ("Failed", "bad"),
        RunState::Cancelled => ("Cancelled", "idle"),
    }
}

fn is_final(state: RunState) -> bool {
    matches!(
        state,
        RunState::Succeeded | RunState::Failed | RunState::Cancelled
    )
}

/// What is to be said of a result, if anything.
fn applied(run: &pb::Run) -> Option<(&'static str, &'static str)> {
    match run.apply_state() {
        pb::ApplyState::Pending if !run.conflicting_paths.is_empty() => Some(("conflicts", "wait")),
        pb::ApplyState::Pending => Some(("to apply", "wait")),
        pb::ApplyState::Applied => Some(("applied", "good")),
        _ => None,
    }
}

/// A run's title, or what stands for it.
fn title(run: &pb::Run) -> String {
    if run.title.is_empty() {
        return "A run".to_owned();
    }
    run.title.clone()
}

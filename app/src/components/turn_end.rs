//! How a turn ended: outcome, time, tokens, cost, and the files it touched.

use leptos::prelude::*;
use membrane_proto::v1::{ChangeSummary, ErrorDetail, TurnOutcome};
use prost_types::Timestamp;

use super::{
    icon::{Glyph, Icon},
    time::Time,
};
use crate::{
    context::Place,
    format,
    transcript::{FileTouched, TurnSummary},
};

/// The line; with the error above it if there was one.
#[component]
pub fn TurnEnd(
    /// What to say.
    summary: TurnSummary,
    /// When it ended.
    time: Option<Timestamp>,
) -> impl IntoView {
    let (word, class, icon) = outcome(summary.ended.outcome());
    let error = summary.ended.error.clone().filter(untold).map(|error| {
        view! {
            <p class=format!("remark-line {class}") role="alert">
                <Glyph icon=Icon::Warning />
                <span>
                    {error.message} " Nothing that was done before is lost. " <code>{error.reason}</code>
                </span>
            </p>
        }
    });
    let facts = facts(&summary)
        .into_iter()
        .map(|fact| view! { <span>{fact}</span> })
        .collect_view();
    view! {
        {error}
        <div class=format!("turn-line {class}")>
            <Glyph icon />
            <span class="turn-word">{word}</span>
            {facts}
            {changed(&summary)}
            <span class="turn-time"><Time time /></span>
        </div>
    }
    .into_any()
}

/// Whether an error was not told of before: a limit of the session has a card of its own.
fn untold(error: &ErrorDetail) -> bool {
    const TOLD: [&str; 4] = [
        "LIMIT_COST",
        "LIMIT_COST_UNKNOWN",
        "LIMIT_TOKENS",
        "LIMIT_REQUESTS",
    ];
    !TOLD.contains(&error.reason.as_str())
}

fn outcome(outcome: TurnOutcome) -> (&'static str, &'static str, Icon) {
    match outcome {
        TurnOutcome::Completed => ("Done", "good", Icon::Check),
        TurnOutcome::Interrupted => ("Stopped", "", Icon::Stop),
        TurnOutcome::Failed => ("Failed", "bad", Icon::Cross),
        TurnOutcome::LimitReached => ("Limit reached", "wait", Icon::Warning),
        TurnOutcome::Abandoned => ("Cut off by a restart of the server", "wait", Icon::Warning),
        TurnOutcome::Unspecified => ("Ended", "", Icon::Circle),
    }
}

fn facts(summary: &TurnSummary) -> Vec<String> {
    let mut facts = Vec::new();
    facts.extend(summary.ended.duration.as_ref().map(format::duration));
    if let Some(usage) = &summary.ended.usage {
        facts.push(format!("{} tokens", format::tokens(usage)));
        facts.push(format::usage_cost(usage));
    }
    if summary.provider == "demo" {
        facts.push("scripted, not a model".to_owned());
    }
    facts
}

/// What the turn did to files, with a link to it. A turn of before changes were recorded knows only
/// what its tools wrote.
fn changed(summary: &TurnSummary) -> AnyView {
    let set = &summary.ended.change_set_id;
    match &summary.ended.changes {
        None => files(summary.files.clone()).into_any(),
        Some(_) if set.is_empty() => ().into_any(),
        Some(changes) => review(set, changes).into_any(),
    }
}

fn review(set: &str, changes: &ChangeSummary) -> impl IntoView + use<> {
    let workspace_id = expect_context::<Place>().workspace_id;
    let address = |workspace_id| format!("/workspaces/{workspace_id}/changes/{set}");
    let href = workspace_id.get_untracked().map(address);
    let words = format::count(changes.file_count.into(), "file", "files");
    view! {
        <a class="turn-review" href=href>
            <span>{words}</span>
            <span class="plus">{format!("+{}", changes.lines_added)}</span>
            <span class="minus">{format!("−{}", changes.lines_removed)}</span>
            <span class="turn-review-word">"Review changes"</span>
        </a>
    }
    .into_any()
}

fn files(files: Vec<FileTouched>) -> impl IntoView {
    if files.is_empty() {
        return ().into_any();
    }
    let added: i32 = files.iter().map(|file| file.added).sum();
    let removed: i32 = files.iter().map(|file| file.removed).sum();
    let rows = files
        .iter()
        .map(|file| {
            view! {
                <li>
                    <span class="mono">{format::path(&file.path).to_owned()}</span>
                    {file.created.then_some(" new")}
                    <span class="plus">{format!("+{}", file.added)}</span>
                    <span class="minus">{format!("−{}", file.removed)}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <details class="turn-files">
            <summary>
                {format::count(files.len() as i64, "file", "files")}
                <span class="plus">{format!("+{added}")}</span>
                <span class="minus">{format!("−{removed}")}</span>
            </summary>
            <ul>{rows}</ul>
        </details>
    }
    .into_any()
}

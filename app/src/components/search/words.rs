//! What a search came to, in words, and what stands where nothing was found.

use leptos::prelude::*;

use super::{Progress, Search};
use crate::{
    components::{
        from_terminal::FromTerminal,
        icon::{Glyph, Icon},
        problem::InlineProblem,
    },
    format,
    search::{self, FIRST, MOST, Query},
};

/// The line above the hits, and whatever else there is to say.
#[component]
pub fn Words(
    /// The state of the page.
    search: Search,
) -> impl IntoView {
    let words = move || search.progress.with(|progress| sum(search, progress));
    let stopped = move || {
        search.progress.with(|progress| match progress {
            Progress::Done(summary) => search::stopped(summary, most(search)),
            Progress::Searching if !search.live.get() => Some(
                "These are the first hits: the search took longer than this page waits. Name the \
                 files to search, or load the page with scripts."
                    .to_owned(),
            ),
            _ => None,
        })
    };
    let stopped = move || {
        stopped().map(|words| {
            view! {
                <p class="search-stopped">
                    <Glyph icon=Icon::Warning />
                    <span>{words}</span>
                </p>
            }
        })
    };
    let problem = Signal::derive(move || match search.progress.get() {
        Progress::Failed(error) => Some(error),
        _ => None,
    });
    let nothing = move || {
        let is_empty = search.found.with(|found| found.files().is_empty());
        match search.progress.get() {
            Progress::Resting => empty(search),
            Progress::Done(_) if is_empty => none(search),
            _ => ().into_any(),
        }
    };
    view! {
        <p class="search-words" role="status">{words}</p>
        {stopped}
        <InlineProblem error=problem />
        {nothing}
    }
    .into_any()
}

/// Matches after which the search that is shown stopped.
fn most(search: Search) -> i32 {
    if search.live.get() { MOST } else { FIRST }
}

fn sum(search: Search, progress: &Progress) -> String {
    let (files, lines) = search
        .found
        .with(|found| (found.files().len() as i64, found.lines() as i64));
    let found = format!(
        "{} in {}",
        format::count(lines, "line", "lines"),
        format::count(files, "file", "files")
    );
    match progress {
        Progress::Resting => String::new(),
        Progress::Searching if lines == 0 => "Searching…".to_owned(),
        Progress::Searching => format!("Searching… {found} so far"),
        Progress::Done(_) if lines == 0 => String::new(),
        Progress::Done(summary) => {
            let searched = format::count(summary.file_count, "file", "files");
            format!("{found}. Searched {searched}.")
        }
        Progress::Failed(_) => String::new(),
    }
}

fn none(search: Search) -> AnyView {
    let query = search.query.get();
    let mut hints = Vec::new();
    if query.regex {
        hints.push("A regular expression is matched line by line, as Rust's regex crate reads it.");
    }
    if query.case || query.words {
        hints.push("Capitals or whole words may be what is in the way.");
    }
    if !(query.include.is_empty() && query.exclude.is_empty()) {
        hints.push("Only some files were searched.");
    }
    let more = (!query.ignored).then(|| {
        let wider = Query {
            ignored: true,
            ..query
        };
        let href = search.workspace_id.with_value(|id| wider.href(id));
        view! {
            <p>
                "What ignore files name, installed packages and caches were passed over. "
                <a href=href>"Search them, too"</a>
            </p>
        }
    });
    view! {
        <section class="empty small">
            <h2>"Nothing found"</h2>
            <p class="quiet">{hints.join(" ")}</p>
            {more}
        </section>
    }
    .into_any()
}

fn empty(search: Search) -> AnyView {
    let request = search.workspace_id.with_value(|id| {
        serde_json::json!({ "workspaceId": id, "pattern": "TODO", "include": ["*.rs"] }).to_string()
    });
    view! {
        <section class="empty">
            <span class="empty-icon"><Glyph icon=Icon::Search /></span>
            <h2>"Search the text of every file"</h2>
            <p>
                "Lines are found while you type, in the files as they are now: yours and the agent's. "
                "The address holds the search, so it can be sent to somebody. From any page of a "
                "workspace, " <kbd>"/"</kbd> " leads here; " <kbd>"j"</kbd> " and " <kbd>"k"</kbd>
                " walk through what was found, " <kbd>"Enter"</kbd> " opens the file at the line."
            </p>
            <FromTerminal method="FileService/SearchFiles" request />
        </section>
    }
    .into_any()
}

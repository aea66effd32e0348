//! What was found: the lines of each file, each leading to its place.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use membrane_proto::v1 as pb;

use super::Search;
use crate::{
    components::{
        found::FoundPath,
        icon::{Glyph, Icon},
        keys,
    },
    format, links, path, text,
};

/// Links to hits.
pub const HITS: &str = ".hit";

/// The files with their lines.
#[component]
pub fn Hits(
    /// The state of the page.
    search: Search,
) -> impl IntoView {
    let navigate = use_navigate();
    let follow = move |event: web_sys::MouseEvent| {
        if let Some(address) = links::followed(&event) {
            navigate(&address, Default::default());
        }
    };
    keys::listen(|key| match key {
        "j" | "ArrowDown" => keys::walk(HITS, 1),
        "k" | "ArrowUp" => keys::walk(HITS, -1),
        _ => false,
    });
    let files = move || search.found.with(|found| found.files().to_vec());
    view! {
        <ol class="hit-files" on:click=follow>
            <For
                each=files
                key=|file| (file.path.clone(), fingerprint(file))
                children=move |file| hits(search, &file)
            />
        </ol>
    }
    .into_any()
}

/// Tells the same file of two searches apart.
fn fingerprint(file: &Arc<pb::FileMatches>) -> Vec<(i64, Vec<(i32, i32)>)> {
    let ranges = |line: &pb::SearchLine| {
        let ranges = line.ranges.iter();
        ranges.map(|range| (range.start, range.end)).collect()
    };
    let lines = file.lines.iter();
    lines.map(|line| (line.number, ranges(line))).collect()
}

fn hits(search: Search, file: &pb::FileMatches) -> AnyView {
    let workspace_id = search.workspace_id.get_value();
    let href = path::address(&workspace_id, &file.path);
    let lines = file
        .lines
        .iter()
        .map(|line| {
            hit(
                path::line_address(&workspace_id, &file.path, line.number),
                line,
            )
        })
        .collect_view();
    let count = format::count(file.lines.len() as i64, "line", "lines");
    let found = pb::FoundFile {
        path: file.path.clone(),
        ..Default::default()
    };
    view! {
        <li class="hit-file">
            <h2>
                <a class="hit-head" href=href>
                    <Glyph icon=Icon::File />
                    <FoundPath file=found />
                    <span class="hit-count quiet">{count}</span>
                </a>
            </h2>
            <ol class="hit-lines">{lines}</ol>
        </li>
    }
    .into_any()
}

fn hit(href: String, line: &pb::SearchLine) -> AnyView {
    let shown = shown(line);
    view! {
        <li>
            <a class="hit" href=href>
                <span class="hit-number">{line.number}</span>
                <code class="hit-text" inner_html=shown></code>
            </a>
        </li>
    }
    .into_any()
}

/// The line without the space before it, and with its matches marked.
fn shown(line: &pb::SearchLine) -> String {
    let ranges = line.ranges.iter().map(|range| {
        let at = |place: i32| usize::try_from(place).unwrap_or_default();
        at(range.start)..at(range.end)
    });
    let ranges: Vec<_> = ranges.collect();
    let indent = line.text.len() - line.text.trim_start().len();
    let first = ranges.first().map_or(indent, |range| range.start);
    let from = if line.cut_start { 0 } else { indent.min(first) };
    let text = line.text.get(from..).unwrap_or_default();
    let ranges = ranges
        .into_iter()
        .map(|range| range.start.saturating_sub(from)..range.end.saturating_sub(from));
    let mut html = String::new();
    if line.cut_start {
        html.push('…');
    }
    html.push_str(&text::marked(text, ranges));
    if line.cut_end {
        html.push('…');
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, start: i32, end: i32) -> pb::SearchLine {
        pb::SearchLine {
            number: 1,
            text: text.to_owned(),
            ranges: vec![pb::TextRange { start, end }],
            matched: true,
            ..Default::default()
        }
    }

    #[test]
    fn a_line_is_shown_without_its_indent_and_with_its_matches() {
        assert_eq!(shown(&line("    a <b>", 6, 7)), "a <mark>&lt;</mark>b&gt;");
        assert_eq!(shown(&line("    x", 2, 5)), "<mark>  x</mark>");
        assert_eq!(shown(&line("x", 7, 9)), "x");
        let cut = pb::SearchLine {
            cut_start: true,
            cut_end: true,
            ..line("  é", 2, 4)
        };
        assert_eq!(shown(&cut), "…  <mark>é</mark>…");
    }
}

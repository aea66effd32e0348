//! The path of a file that was looked for by parts of it.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use crate::{path, text};

/// The name, then where it is, with what fits marked in both.
#[component]
pub fn FoundPath(
    /// The file.
    file: pb::FoundFile,
) -> impl IntoView {
    let path = file.path;
    let ranges = text::ranges_at(&path, &file.positions);
    let start = path.len() - path::name(&path).len();
    let within = ranges.iter().filter(|range| range.end > start);
    let within = within.map(|range| range.start.saturating_sub(start)..range.end - start);
    let name = text::marked(&path[start..], within);
    let above = &path[..start];
    let before = ranges.iter().filter(|range| range.start < start);
    let place = text::marked(above, before.map(|range| range.start..range.end.min(start)));
    view! {
        <span class="found" title=text::plain(&path)>
            <bdi class="found-name" inner_html=name></bdi>
            <bdi class="found-place" inner_html=place></bdi>
        </span>
    }
    .into_any()
}

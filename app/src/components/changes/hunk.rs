//! A run of changed lines with their context.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use super::{
    discard::{Discard, Target},
    review::Review,
};
use crate::{
    changes::{Layout, has_context, rows},
    components::icon::{Glyph, Icon},
};

/// A hunk. It can have the focus, so that keys know which one is meant.
#[component]
pub fn Hunk(
    /// The review.
    review: Review,
    /// The file.
    change: pb::Change,
    /// The hunk.
    hunk: pb::DiffHunk,
    /// Whether the caller may put it back.
    allowed: bool,
) -> impl IntoView {
    let place = format!(
        "@@ −{},{} +{},{} @@",
        hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count
    );
    let spoken = format!("Change at line {}", hunk.new_start.max(hunk.old_start));
    let path = change.path.clone();
    let more = has_context(&change);
    let wider = move || {
        if !more {
            return None;
        }
        let around = review.address.with(|at| at.as_ref().map(|at| at.around))?;
        let wider = around.wider()?;
        let href = review.href(|at| at.with_around(wider, &path));
        Some(view! {
            <a class="button small hunk-more" href=href>
                <Glyph icon=Icon::Expand />
                "Show more"
            </a>
        })
    };
    let target = Target {
        path: Some(change.path),
        etag: change.etag,
        hunk: Some(hunk.id),
    };
    let discard = allowed.then(|| {
        let question = "Put these lines back as they were?";
        view! { <Discard review target label="Discard" question /> }
    });
    let lines = StoredValue::new(hunk.lines);
    let tables = move || {
        let layout = review.layout();
        let tables = lines.with_value(|lines| rows(lines, layout));
        tables
            .into_iter()
            .map(|rows| table(layout, rows))
            .collect_view()
    };
    view! {
        <section class="hunk" tabindex="-1" aria-label=spoken>
            <header class="hunk-head">
                <span class="hunk-place">{place}</span>
                {wider}
                {discard}
            </header>
            {tables}
        </section>
    }
    .into_any()
}

fn table(layout: Layout, rows: String) -> impl IntoView {
    let (class, columns) = match layout {
        Layout::Unified => ("unified", &["number", "number", "sign", "text"][..]),
        Layout::Split => (
            "split",
            &["number", "sign", "text", "number", "sign", "text"][..],
        ),
    };
    let columns = columns
        .iter()
        .map(|class| view! { <col class=format!("column-{class}") /> })
        .collect_view();
    view! {
        <div class="diff-part">
            <table class=format!("diff-table {class}")>
                <colgroup>{columns}</colgroup>
                <tbody inner_html=rows></tbody>
            </table>
        </div>
    }
    .into_any()
}

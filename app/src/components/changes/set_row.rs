//! One change set in a list, and how much changed.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use crate::{
    changes::{Address, Around, Layout, Scope, makers},
    components::{
        icon::{Glyph, Icon},
        time::Time,
    },
    format,
};

/// Files, lines added, lines removed.
#[component]
pub fn Counts(
    /// What it amounts to.
    summary: pb::ChangeSummary,
) -> impl IntoView {
    view! {
        <span class="counts">
            <span>{format::count(summary.file_count.into(), "file", "files")}</span>
            <Lines added=summary.lines_added removed=summary.lines_removed />
        </span>
    }
    .into_any()
}

/// Lines added and removed; nothing where there are none.
#[component]
pub fn Lines(
    /// Lines added.
    added: i32,
    /// Lines removed.
    removed: i32,
) -> impl IntoView {
    if (added, removed) == (0, 0) {
        return ().into_any();
    }
    view! {
        <span class="plus">{format!("+{added}")}<span class="for-readers">" lines, "</span></span>
        <span class="minus">{format!("−{removed}")}<span class="for-readers">" lines"</span></span>
    }
    .into_any()
}

/// Who, in which session, when, and how much.
#[component]
pub fn SetRow(
    /// The workspace.
    workspace_id: String,
    /// The change set.
    set: pb::ChangeSet,
    /// The title of its session, if it still exists.
    title: Option<String>,
) -> impl IntoView {
    let icon = match set.kind() {
        pb::ChangeSetKind::People => Icon::Account,
        _ => Icon::Sessions,
    };
    let title = title.unwrap_or_else(|| "A session that was deleted, or an older one".to_owned());
    let detail = match set.kind() {
        pb::ChangeSetKind::People => format!("Before a turn of “{title}”"),
        _ => title,
    };
    let href = Address {
        workspace_id,
        scope: Scope::Set(set.id.clone()),
        file: None,
        layout: Layout::Unified,
        around: Around::Near,
        page: String::new(),
    };
    view! {
        <li>
            <a href=href.href() class="row set-link">
                <span class="row-icon"><Glyph icon /></span>
                <span class="row-main">
                    <span class="row-title">{makers(set.kind())}</span>
                    <span class="row-sub"><bdi class="cut">{detail}</bdi></span>
                </span>
                <Counts summary=set.summary.unwrap_or_default() />
                <span class="row-time"><Time time=set.create_time /></span>
            </a>
        </li>
    }
    .into_any()
}

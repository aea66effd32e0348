//! The head of a file's diff: which file, what happened to it, and how to look at it.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use super::{
    discard::{Discard, Target},
    name::PathName,
    review::Review,
    set_row::Lines,
};
use crate::{
    changes::{Around, Layout, discard_question, has_context, status},
    components::icon::{Glyph, Icon},
};

/// The head.
#[component]
pub fn FileHead(
    /// The review.
    review: Review,
    /// The file.
    change: pb::Change,
    /// Whether it has lines to show more or less of.
    has_lines: bool,
    /// Whether the caller may put it back.
    allowed: bool,
) -> impl IntoView {
    let (_, word, class) = status(change.status());
    let old = (!change.old_path.is_empty()).then(|| {
        view! {
            <PathName path=change.old_path.clone() />
            <span class="path-arrow">
                <span aria-hidden="true">"→"</span>
                <span class="for-readers">"renamed to"</span>
            </span>
        }
    });
    let lines = (!change.binary)
        .then(|| view! { <Lines added=change.lines_added removed=change.lines_removed /> });
    let views = has_lines.then(|| {
        view! {
            {has_context(&change).then(|| view! { <Arounds review path=change.path.clone() /> })}
            <Layouts review />
        }
    });
    let discard = (allowed && change.current).then(|| {
        let target = Target {
            path: Some(change.path.clone()),
            etag: change.etag.clone(),
            hunk: None,
        };
        view! { <Discard review target label="Discard file" question=discard_question(&change) /> }
    });
    let back = move || review.href(|at| at.with_file(None));
    view! {
        <header class="file-head">
            <a class="file-back" href=back>
                <Glyph icon=Icon::Chevron />
                "All files"
            </a>
            <h2 class="file-title">{old} <PathName path=change.path.clone() /></h2>
            <p class="change-facts">
                <span class=format!("status-word {class}")>{word}</span>
                <span class="counts">{lines}</span>
            </p>
            {remarks(&change)}
            <div class="file-tools">{views} {discard}</div>
        </header>
    }
    .into_any()
}

fn remarks(change: &pb::Change) -> impl IntoView + use<> {
    let sensitive = (!change.sensitive_reason.is_empty()).then(|| {
        remark(
            "wait",
            Icon::Shield,
            format!("Look twice: {}.", change.sensitive_reason),
        )
    });
    let since = (!change.current).then(|| {
        let words = "This file has changed since, so this change can't be discarded as it is.";
        remark("", Icon::Clock, words.to_owned())
    });
    view! {
        {sensitive}
        {since}
    }
    .into_any()
}

fn remark(class: &'static str, icon: Icon, words: String) -> impl IntoView {
    view! {
        <p class=format!("remark-line {class}")>
            <Glyph icon />
            <span>{words}</span>
        </p>
    }
    .into_any()
}

#[component]
fn Arounds(review: Review, path: String) -> impl IntoView {
    let now = move || review.address.with(|at| at.as_ref().map(|at| at.around));
    let choices = [
        (Around::Near, "3 lines"),
        (Around::Far, "20 lines"),
        (Around::Whole, "Whole file"),
    ];
    let links = choices.map(|(around, words)| {
        let path = path.clone();
        let href = move || review.href(|at| at.with_around(around, &path));
        let current = move || (now() == Some(around)).then_some("true");
        view! { <a class="choice-link" href=href aria-current=current>{words}</a> }
    });
    view! {
        <span class="choice-links around" role="group" aria-label="Shown around a change">
            {links.into_iter().collect_view()}
        </span>
    }
    .into_any()
}

#[component]
fn Layouts(review: Review) -> impl IntoView {
    let choices = [
        (Layout::Unified, "Unified"),
        (Layout::Split, "Side by side"),
    ];
    let links = choices.map(|(layout, words)| {
        let href = move || review.href(|at| at.with_layout(layout));
        let current = move || (review.wanted_layout() == layout).then_some("true");
        view! { <a class="choice-link" href=href aria-current=current>{words}</a> }
    });
    view! {
        <span class="choice-links layout" role="group" aria-label="Layout">
            {links.into_iter().collect_view()}
        </span>
    }
    .into_any()
}

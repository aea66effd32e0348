//! The changed files of a scope, each a link to its diff.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use super::{name::ShortName, review::Review, set_row::Lines};
use crate::{
    changes::status,
    components::{
        icon::{Glyph, Icon},
        problem::Problem,
        skeleton::Skeleton,
    },
    format,
    text::plain,
};

/// The list.
#[component]
pub fn FileList(
    /// The review.
    review: Review,
) -> impl IntoView {
    view! {
        <nav class="review-files" aria-label="Changed files">
            <Transition fallback=|| {
                view! { <Skeleton lines=5 /> }
            }>
                {move || Suspend::new(async move {
                    match review.files.await {
                        Ok(page) => files(review, page.0).into_any(),
                        Err(error) => view! { <Problem error /> }.into_any(),
                    }
                })}
            </Transition>
            <Transition>
                {move || Suspend::new(async move {
                    let set = review.about.await.set?;
                    (!set.0.skipped_paths.is_empty()).then(|| skipped(set.0.skipped_paths))
                })}
            </Transition>
        </nav>
    }
    .into_any()
}

fn files(review: Review, page: pb::ListChangesResponse) -> impl IntoView {
    let first = page.changes.first().map(|change| change.path.clone());
    let selected = Memo::new(move |_| {
        let open = review.address.with(|at| at.as_ref()?.file.clone());
        open.or_else(|| first.clone())
    });
    let rows = page
        .changes
        .into_iter()
        .map(|change| row(review, selected, &change))
        .collect_view();
    let token = page.next_page_token;
    let more = (!token.is_empty()).then(|| {
        let href = move || review.href(|at| at.with_page(&token));
        view! { <a class="button small review-more" href=href>"More files"</a> }
    });
    // Not tracked: the list stays as it is while files of it are opened.
    let later = review
        .address
        .with_untracked(|at| at.as_ref().is_some_and(|at| !at.page.is_empty()));
    let back = later.then(|| {
        let href = move || review.href(|at| at.with_page(""));
        view! { <a class="button small review-more" href=href>"First files"</a> }
    });
    view! {
        {back}
        <ul class="review-list">{rows}</ul>
        {more}
    }
    .into_any()
}

fn row(
    review: Review,
    selected: Memo<Option<String>>,
    change: &pb::Change,
) -> impl IntoView + use<> {
    let (letter, word, class) = status(change.status());
    let path = change.path.clone();
    let of = path.clone();
    let href = move || review.href(|at| at.with_file(Some(of.clone())));
    let (current, whole) = (path.clone(), plain(&path));
    let current = move || (selected.read().as_deref() == Some(&*current)).then_some("page");
    let sensitive = (!change.sensitive_reason.is_empty()).then(|| {
        mark(
            Icon::Shield,
            "mark-sensitive",
            &format!("Look twice: {}", change.sensitive_reason),
        )
    });
    let moved_on = (!change.current).then(|| mark(Icon::Clock, "mark-since", "Changed since"));
    let amount = if change.binary {
        view! { <span class="quiet">"binary"</span> }.into_any()
    } else {
        view! { <Lines added=change.lines_added removed=change.lines_removed /> }.into_any()
    };
    view! {
        <li>
            <a class="change-link" href=href aria-current=current title=whole>
                <span class=format!("status-letter {class}") title=word>
                    <span aria-hidden="true">{letter}</span>
                    <span class="for-readers">{word} " "</span>
                </span>
                <ShortName path />
                {sensitive}
                {moved_on}
                <span class="counts">{amount}</span>
            </a>
        </li>
    }
    .into_any()
}

fn mark(icon: Icon, class: &'static str, words: &str) -> impl IntoView + use<> {
    view! {
        <span class=format!("file-mark {class}") title=words.to_owned()>
            <Glyph icon />
            <span class="for-readers">{words.to_owned()} " "</span>
        </span>
    }
    .into_any()
}

fn skipped(paths: Vec<String>) -> impl IntoView {
    let count = format::count(paths.len() as i64, "place", "places");
    let rows = paths
        .iter()
        .map(|path| view! { <li class="mono"><bdi>{plain(path)}</bdi></li> })
        .collect_view();
    view! {
        <details class="skipped">
            <summary>{format!("{count} not compared")}</summary>
            <p>"Directories that can be rebuilt, and what could not be read."</p>
            <ul>{rows}</ul>
        </details>
    }
    .into_any()
}

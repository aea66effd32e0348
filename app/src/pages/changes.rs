//! The changes of one change set or of one session: files beside the diff of the open one.

use leptos::prelude::*;

use crate::components::changes::{
    file_list::FileList, file_pane::FilePane, keys::listen_on_review, review::Review,
    scope_head::ScopeHead,
};

/// The page.
#[component]
pub fn Changes() -> impl IntoView {
    let review = Review::provide();
    listen_on_review(review);
    // A phone shows the list or the file.
    let opened = move || {
        review
            .address
            .with(|at| at.as_ref().is_some_and(|at| at.file.is_some()))
    };
    view! {
        <div class="review" class:opened=opened>
            <ScopeHead review />
            <div class="review-columns">
                <FileList review />
                <FilePane review />
            </div>
            <Keys />
        </div>
    }
    .into_any()
}

#[component]
fn Keys() -> impl IntoView {
    let keys = [
        ("j k", "files"),
        ("Enter", "into the file"),
        ("n p", "changes"),
        ("u", "layout"),
        ("d", "discard"),
    ];
    let keys = keys
        .map(|(key, words)| view! { <span><kbd>{key}</kbd> " " {words}</span> })
        .into_iter()
        .collect_view();
    view! { <p class="review-keys" aria-label="Keys">{keys}</p> }.into_any()
}

//! The head of a review: whose changes, when, how many, and all of them at once.

use leptos::prelude::*;
use leptos_meta::Title;

use super::{
    discard::{Discard, Target},
    review::{About, Review, may_discard},
    set_row::Counts,
};
use crate::{
    changes::{Scope, list_address, makers},
    components::{
        icon::{Glyph, Icon},
        rail::title,
        time::Time,
    },
    format,
};

/// The head.
#[component]
pub fn ScopeHead(
    /// The review.
    review: Review,
) -> impl IntoView {
    let back = move || {
        review
            .address
            .with(|at| at.as_ref().map(|at| list_address(&at.workspace_id, "")))
    };
    view! {
        <header class="header review-head">
            <a class="review-back" href=back aria-label="All changes of this workspace">
                <Glyph icon=Icon::Chevron />
            </a>
            <Transition fallback=|| {
                view! { <h1 class="header-title">"Changes"</h1> }
            }>{move || Suspend::new(async move { heading(review, review.about.await) })}</Transition>
            <div class="header-actions">
                <Transition>{move || Suspend::new(async move { sum(review).await })}</Transition>
            </div>
        </header>
    }
    .into_any()
}

fn heading(review: Review, about: About) -> impl IntoView {
    let session = about.session.map(|session| session.0);
    let name = session.as_ref().map(title);
    let who = match about.set.as_ref() {
        Some(set) => makers(set.0.kind()),
        None => "Changes",
    };
    let joint = match review
        .address
        .with_untracked(|at| at.as_ref().map(|at| at.scope.clone()))
    {
        Some(Scope::Session(_)) => "of the session",
        _ => "in",
    };
    let link = session.zip(name.clone()).map(|(session, name)| {
        let href = format!(
            "/workspaces/{}/sessions/{}",
            session.workspace_id, session.id
        );
        view! {
            <span class="quiet">" " {joint} " "</span>
            <a class="review-session" href=href><bdi>{name}</bdi></a>
        }
    });
    let when = about.set.map(|set| {
        view! {
            <span class="head-time">
                <Time time=set.0.create_time />
            </span>
        }
    });
    let page_title = match name {
        Some(name) => format!("Changes · {name}"),
        None => "Changes".to_owned(),
    };
    view! {
        <Title text=page_title />
        <h1 class="header-title">{who} {link}</h1>
        {when}
    }
    .into_any()
}

async fn sum(review: Review) -> impl IntoView {
    let allowed = may_discard().await;
    let Ok(page) = review.files.await else {
        return ().into_any();
    };
    let summary = page.0.summary.unwrap_or_default();
    let count = summary.file_count;
    let question = format!(
        "Put {} back as before?",
        format::count(count.into(), "file", "all files")
    );
    let discard = (allowed && count > 0).then(|| {
        view! { <Discard review target=Target::default() label="Discard all" question /> }
    });
    view! {
        <Counts summary />
        {discard}
    }
    .into_any()
}

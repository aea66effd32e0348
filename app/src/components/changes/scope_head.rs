//! The head of a review: whose changes, when, how many, and all of them at once.

use leptos::prelude::*;
use leptos_meta::Title;
use membrane_proto::v1 as pb;

use super::{
    discard::{Discard, Target},
    review::{About, Review, may_discard},
    set_row::Counts,
};
use crate::{
    api::Wire,
    changes::{Address, Scope, list_address, makers},
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
    let back = move || review.address.with(|at| at.as_ref().map(list_of));
    view! {
        <header class="header review-head">
            <a class="review-back" href=back aria-label="The whole list">
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

/// The list from which one comes here.
fn list_of(address: &Address) -> String {
    match address.scope {
        Scope::Snapshots(..) => format!("/workspaces/{}/snapshots", address.workspace_id),
        _ => list_address(&address.workspace_id, ""),
    }
}

/// What is compared with what.
fn comparison(snapshots: &[Wire<pb::Snapshot>]) -> impl IntoView + use<> {
    let name = |snapshot: &Wire<pb::Snapshot>| match snapshot.0.title.as_str() {
        "" => "a snapshot without a name".to_owned(),
        title => format!("“{title}”"),
    };
    let words = match snapshots {
        [before, after] => format!("From {} to {}", name(before), name(after)),
        [before] => format!("Since {}", name(before)),
        _ => "Changes".to_owned(),
    };
    let when = snapshots.first().map(|before| {
        view! {
            <span class="head-time">
                <Time time=before.0.create_time />
            </span>
        }
    });
    view! {
        <Title text=format!("Changes · {words}") />
        <h1 class="header-title"><bdi>{words}</bdi></h1>
        {when}
    }
    .into_any()
}

fn heading(review: Review, about: About) -> impl IntoView {
    if !about.snapshots.is_empty() {
        return comparison(&about.snapshots).into_any();
    }
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

//! Says what became of a discard.

use leptos::{html, prelude::*};
use membrane_proto::v1 as pb;

use super::review::{Outcome, Review};
use crate::{
    api::ApiError,
    components::{
        icon::{Glyph, Icon},
        problem::InlineProblem,
    },
    text::plain,
};

/// Number of names that are told.
const NAMES: usize = 5;

/// The place for it; empty until something was discarded.
#[component]
pub fn OutcomeLine(
    /// The review.
    review: Review,
) -> impl IntoView {
    let place = NodeRef::<html::Div>::new();
    // The button that was pressed is gone, so the focus goes where the answer is.
    Effect::new(move || {
        if review.outcome.read().is_some()
            && let Some(place) = place.get()
        {
            let _ = place.focus();
        }
    });
    let error = Signal::derive(move || match &*review.outcome.read() {
        Some(Outcome::Refused(error)) => Some(explained(error)),
        _ => None,
    });
    let done = move || match &*review.outcome.read() {
        Some(Outcome::Done(answer)) => Some(told(answer)),
        _ => None,
    };
    view! {
        <div class="outcome" tabindex="-1" node_ref=place>
            <div role="status">{done}</div>
            <InlineProblem error />
        </div>
    }
    .into_any()
}

/// The same error in words that fit this page.
fn explained(error: &ApiError) -> ApiError {
    let message = match error.reason.as_str() {
        "TURN_RUNNING" => {
            "An agent is at work in this workspace. Nothing was discarded: wait until its turn has \
             ended, or stop it, and discard again."
        }
        "ETAG_MISMATCH" | "STALE_ETAG" => STALE,
        _ if error.code == ABORTED => STALE,
        _ => return error.clone(),
    };
    ApiError {
        message: message.to_owned(),
        ..error.clone()
    }
}

const STALE: &str = "The file changed while you looked at it. Nothing was discarded: this is how it \
                     is now.";

/// The number of gRPC's ABORTED.
const ABORTED: i32 = tonic::Code::Aborted as i32;

fn told(answer: &pb::DiscardChangesResponse) -> impl IntoView + use<> {
    let good = (!answer.discarded_paths.is_empty()).then(|| {
        line(
            "good",
            Icon::Check,
            "As before again: ",
            &answer.discarded_paths,
        )
    });
    let left = (!answer.conflicting_paths.is_empty()).then(|| {
        line(
            "wait",
            Icon::Warning,
            "Left alone, since it has changed in the meantime: ",
            &answer.conflicting_paths,
        )
    });
    let nothing = (good.is_none() && left.is_none()).then(|| {
        view! {
            <p class="remark-line">
                <Glyph icon=Icon::Info />
                <span>"There was nothing to put back."</span>
            </p>
        }
    });
    view! {
        {good}
        {left}
        {nothing}
    }
    .into_any()
}

fn line(
    class: &'static str,
    icon: Icon,
    words: &'static str,
    paths: &[String],
) -> impl IntoView + use<> {
    let more = paths.len().saturating_sub(NAMES);
    let names = paths
        .iter()
        .take(NAMES)
        .map(|path| {
            view! { <li class="mono"><bdi class="cut" title=plain(path)>{plain(path)}</bdi></li> }
        })
        .collect_view();
    view! {
        <div class=format!("remark-line {class}")>
            <Glyph icon />
            <span>{words}</span>
            <ul class="outcome-names">
                {names} {(more > 0).then(|| view! { <li>{format!("and {more} more")}</li> })}
            </ul>
        </div>
    }
    .into_any()
}

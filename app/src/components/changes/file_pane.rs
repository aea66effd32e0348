//! How one file changed.

use leptos::{html, prelude::*};
use membrane_proto::v1::{self as pb, ChangeStatus};

use super::{
    empty::NoFiles,
    file_head::FileHead,
    hunk::Hunk,
    outcome::OutcomeLine,
    pictures::Pictures,
    review::{Review, may_discard},
};
use crate::{
    changes::sizes,
    components::{
        icon::{Glyph, Icon},
        problem::PageProblem,
        skeleton::Skeleton,
    },
};

/// The pane beside the list.
#[component]
pub fn FilePane(
    /// The review.
    review: Review,
) -> impl IntoView {
    let scroller = NodeRef::<html::Div>::new();
    let open = Memo::new(move |_| review.address.with(|at| at.as_ref()?.file.clone()));
    Effect::new(move |before: Option<Option<String>>| {
        let now = open.get();
        if before.is_some_and(|before| before != now) {
            review.outcome.set(None);
            if let Some(scroller) = scroller.get_untracked() {
                scroller.set_scroll_top(0);
            }
        }
        now
    });
    view! {
        <div class="review-pane" node_ref=scroller>
            <OutcomeLine review />
            <Transition fallback=|| {
                view! { <Skeleton lines=8 /> }
            }>
                {move || Suspend::new(async move {
                    let allowed = may_discard().await;
                    match review.diff.await {
                        Ok(Some(diff)) => view! { <FileDiff review diff=diff.0 allowed /> }.into_any(),
                        Ok(None) => view! { <NoFiles /> }.into_any(),
                        Err(error) => view! { <PageProblem error /> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
    .into_any()
}

#[component]
fn FileDiff(review: Review, diff: pb::GetFileDiffResponse, allowed: bool) -> impl IntoView {
    let change = diff.change.unwrap_or_default();
    let has_lines = !diff.hunks.is_empty();
    let without = (!has_lines).then(|| without_lines(review, &change));
    let hunks = diff
        .hunks
        .into_iter()
        .map(|hunk| {
            let may = allowed && hunk.current;
            view! { <Hunk review change=change.clone() hunk allowed=may /> }
        })
        .collect_view();
    let cut = diff.truncated.then(|| {
        view! {
            <p class="remark-line wait diff-cut">
                <Glyph icon=Icon::Info />
                <span>
                    "The first 20,000 lines are shown. The whole change can still be discarded at once."
                </span>
            </p>
        }
    });
    view! {
        <article class="file-diff">
            <FileHead review change=change.clone() has_lines allowed />
            <div class="file-body">{without} {hunks} {cut}</div>
        </article>
    }
    .into_any()
}

fn without_lines(review: Review, change: &pb::Change) -> impl IntoView + use<> {
    let words = match change.status() {
        ChangeStatus::Mode => "Only its permissions changed. Its contents are the same.",
        ChangeStatus::Type => "It became something else: a link instead of a file, for example.",
        _ if change.binary => "It has no lines to compare: it is binary, or larger than 1 MiB.",
        ChangeStatus::Renamed => "It has another name. Its contents are the same.",
        _ => "It is empty.",
    };
    let size = sizes(change);
    view! {
        <div class="no-lines">
            <p>{words} " " <span class="quiet">{size}</span></p>
            <Pictures review change=change.clone() />
        </div>
    }
    .into_any()
}

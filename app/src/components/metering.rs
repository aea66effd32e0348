//! What a transcript says about limits and about requests from inside the sandbox, and what a
//! session's head says about what is used.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use super::icon::{Glyph, Icon};
use crate::{
    context::Place,
    format,
    live::Feed,
    transcript::{Cost, Inside},
};

/// From so many hundredths of a limit on, the head warns.
const NEAR: i64 = 90;

/// What a session has cost, and how much of its limits is used.
#[component]
pub fn Used(
    /// The session.
    feed: Feed,
) -> impl IntoView {
    move || {
        let cost = feed.cost.get();
        let limits = feed
            .session
            .with(|session| session.limits.unwrap_or_default());
        let parts = parts(cost, &limits);
        let share = parts.iter().map(|(share, _)| *share).max();
        let title = match parts.as_slice() {
            [] => "What this session has cost so far".to_owned(),
            parts => {
                let words: Vec<&str> = parts.iter().map(|(_, words)| words.as_str()).collect();
                format!("Used of this session's limits: {}", words.join(", "))
            }
        };
        (cost.requests > 0 || share.is_some()).then(|| {
            view! {
                <span class="head-cost" title=title.clone()>
                    <span aria-hidden="true">
                        {format::cost(cost)}
                        {share
                            .map(|share| {
                                let near = share >= NEAR;
                                view! {
                                    <span class="head-share" class:near=near>
                                        {format!(" · {share} % of limit")}
                                    </span>
                                }
                            })}
                    </span>
                    <span class="for-readers">{format!("{}. {title}", format::cost(cost))}</span>
                </span>
            }
        })
    }
}

/// Each limit: hundredths that are used, and the same in words.
fn parts(cost: Cost, limits: &pb::UsageLimits) -> Vec<(i64, String)> {
    let known = format::cost(cost);
    let of_money = format!("{known} of {}", format::dollars(limits.max_cost_micro_usd));
    let of_tokens = format!(
        "{} of {} tokens",
        format::short_count(cost.tokens),
        format::short_count(limits.max_tokens)
    );
    let of_requests = format!("{} of {} requests", cost.requests, limits.max_requests);
    [
        (cost.micro_usd, limits.max_cost_micro_usd, of_money),
        (cost.tokens, limits.max_tokens, of_tokens),
        (cost.requests.into(), limits.max_requests, of_requests),
    ]
    .into_iter()
    .filter(|(_, limit, _)| *limit > 0)
    .map(|(used, limit, words)| {
        let share = i128::from(used) * 100 / i128::from(limit);
        (i64::try_from(share).unwrap_or(i64::MAX), words)
    })
    .collect()
}

/// Which limit was met.
pub fn heading(met: &pb::LimitMet) -> String {
    let what = match met.kind() {
        pb::LimitKind::Cost => "cost",
        pb::LimitKind::Tokens => "tokens",
        pb::LimitKind::Requests | pb::LimitKind::Unspecified => "model requests",
    };
    format!("The session's limit of {what} is met")
}

/// A limit that was met.
pub fn limit_met(met: &pb::LimitMet) -> AnyView {
    let heading = heading(met);
    let error = met.error.clone().unwrap_or_default();
    let by = met
        .inside
        .then_some("A program in the sandbox asked and was refused; the turn went on. ");
    let workspace = expect_context::<Place>().workspace_id.get_untracked();
    let settings = workspace.map(|id| format!("/workspaces/{id}/settings#limits-heading"));
    let name = heading.clone();
    view! {
        <section class="limit-card" aria-label=name title=error.reason>
            <p class="limit-heading">
                <Glyph icon=Icon::Warning />
                <span>{heading}</span>
            </p>
            <p>{by} {error.message}</p>
            <a class="button small" href=settings>"Change the limits"</a>
        </section>
    }
    .into_any()
}

/// Requests that programs made, in one line.
pub fn inside(inside: &Inside) -> String {
    let requests = format::count(inside.requests.into(), "model request", "model requests");
    let mut words = format!(
        "Programs in the sandbox made {requests} to {}",
        inside.model
    );
    if inside.failed > 0 {
        words.push_str(&format!(", {} of which failed", inside.failed));
    }
    words.push_str(&format!(
        ": {} tokens, {}.",
        format::short_count(inside.cost.tokens),
        format::cost(inside.cost)
    ));
    if let Some(error) = &inside.error {
        words.push_str(&format!(" {}", error.message));
    }
    words
}

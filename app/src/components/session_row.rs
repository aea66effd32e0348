//! One session in a list.

use leptos::prelude::*;
use leptos_router::components::A;
use membrane_proto::v1 as pb;

use super::{rail::title, state::StatePill, time::Time};
use crate::{
    format,
    transcript::{Activity, Cost},
};

/// Title, state, turns, cost, and when something last happened.
#[component]
pub fn SessionRow(
    /// The session.
    session: pb::Session,
) -> impl IntoView {
    let usage = session.usage.unwrap_or_default();
    let cost = Cost::of(&usage);
    let price = (session.turn_count > 0).then(|| format::cost(cost));
    let tokens = (usage.output_tokens > 0).then(|| format!("{} tokens", format::tokens(&usage)));
    view! {
        <li>
            <A
                href=format!("/workspaces/{}/sessions/{}", session.workspace_id, session.id)
                attr:class="row"
            >
                <StatePill activity=Activity::of(session.state()) />
                <span class="row-main">
                    <span class="row-title">{title(&session)}</span>
                    <span class="row-sub">
                        <span>{format::count(session.turn_count.into(), "turn", "turns")}</span>
                        {tokens.map(|tokens| view! { <span>{tokens}</span> })}
                    </span>
                </span>
                {price.map(|price| view! { <span class="row-number">{price}</span> })}
                <span class="row-time"><Time time=session.update_time /></span>
            </A>
        </li>
    }
    .into_any()
}

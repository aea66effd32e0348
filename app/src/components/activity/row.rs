//! One thing that happened at the boundary.

use leptos::prelude::*;
use membrane_proto::v1::{self as pb, EgressLimit, activity_entry::Kind};

use crate::{
    components::{
        icon::{Glyph, Icon},
        metering,
        time::Time,
    },
    egress, format,
};

/// What, in which session, when. Leads to its event.
#[component]
pub fn ActivityRow(
    /// The workspace.
    workspace_id: String,
    /// The entry.
    entry: pb::ActivityEntry,
    /// The title of its session, if that is among the latest.
    title: Option<String>,
) -> impl IntoView {
    let href = format!(
        "/workspaces/{workspace_id}/sessions/{}#e{}",
        entry.session_id, entry.sequence
    );
    let (icon, heading, detail, (word, class)) = match entry.kind {
        Some(Kind::EgressDecision(decision)) => (
            Icon::Globe,
            egress::place(&decision),
            why(&decision),
            egress::verdict(decision.verdict()),
        ),
        Some(Kind::EgressTotals(totals)) => (
            Icon::Activity,
            egress::amounts(&totals),
            counts(&totals),
            limit(&totals),
        ),
        Some(Kind::SandboxLimit(sandbox)) => (
            Icon::Shield,
            "A command was ended".to_owned(),
            format!("It used more than {}.", sandbox.limit),
            ("limit of the sandbox", "bad"),
        ),
        Some(Kind::LimitMet(met)) => (
            Icon::Warning,
            metering::heading(&met),
            met.error.unwrap_or_default().message,
            ("limit of a session", "bad"),
        ),
        None => (
            Icon::Info,
            "Something that this page does not know".to_owned(),
            "Load the page again.".to_owned(),
            ("", ""),
        ),
    };
    let title = title.unwrap_or_else(|| "An older session".to_owned());
    view! {
        <li>
            <a href=href class="row activity-row">
                <span class="row-icon"><Glyph icon /></span>
                <span class="row-main">
                    <span class="row-title"><bdi>{heading}</bdi></span>
                    <span class="row-sub"><span>{detail}</span> <bdi class="cut">{title}</bdi></span>
                </span>
                <span class=format!("activity-word {class}")>{word}</span>
                <span class="row-time"><Time time=entry.create_time /></span>
            </a>
        </li>
    }
    .into_any()
}

/// The sentence of a refusal, which names the host again; of who was let out, where to.
fn why(decision: &pb::EgressDecision) -> String {
    match decision.verdict() {
        pb::EgressVerdict::Allowed => format!("at {}", decision.address),
        pb::EgressVerdict::NotListed => String::new(),
        _ => decision.message.clone(),
    }
}

fn counts(totals: &pb::EgressTotals) -> String {
    let mut words = format::count(totals.connection_count.into(), "connection", "connections");
    if totals.refused_count > 0 {
        words += &format!(", {} refused", totals.refused_count);
    }
    if totals.left_out_count > 0 {
        words += &format!(", {} of them not listed here", totals.left_out_count);
    }
    words
}

fn limit(totals: &pb::EgressTotals) -> (&'static str, &'static str) {
    match totals.limit() {
        EgressLimit::Unspecified => ("", ""),
        EgressLimit::CallBytes => ("limit of a call", "bad"),
        EgressLimit::TurnBytes => ("limit of a turn", "bad"),
    }
}

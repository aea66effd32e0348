//! What stands where nothing has happened yet.

use leptos::prelude::*;

use crate::components::{
    from_terminal::FromTerminal,
    icon::{Glyph, Icon},
};

/// Teaches what is listed here.
#[component]
pub fn NoActivity(
    /// The workspace.
    workspace_id: String,
) -> impl IntoView {
    let request = format!("{{\"workspace_id\": \"{workspace_id}\"}}");
    view! {
        <section class="empty">
            <span class="empty-icon"><Glyph icon=Icon::Activity /></span>
            <h2>"Nothing has asked to leave yet"</h2>
            <p>
                "When a command of an agent wants to connect to somewhere, the server decides by this "
                "workspace's list, and writes it down here: where to, in which session, and how much was "
                "sent and received. What was refused can be allowed with one click in its transcript."
            </p>
            <p>
                <a class="button primary" href=format!("/workspaces/{workspace_id}/settings#network")>
                    <Glyph icon=Icon::Settings />
                    "Choose what may be reached"
                </a>
            </p>
            <FromTerminal method="ActivityService/ListActivity" request />
        </section>
    }
    .into_any()
}

/// Says that a filter lets nothing through.
#[component]
pub fn NoMatch(
    /// The page without the filter.
    href: String,
) -> impl IntoView {
    view! {
        <section class="empty small">
            <span class="empty-icon"><Glyph icon=Icon::Activity /></span>
            <h2>"Nothing like that"</h2>
            <p class="quiet">"No entry of this workspace is what you filter for."</p>
            <p><a class="button" href=href>"Show all"</a></p>
        </section>
    }
    .into_any()
}

//! What stands where nothing has changed yet.

use leptos::prelude::*;

use crate::components::{
    from_terminal::FromTerminal,
    icon::{Glyph, Icon},
};

/// Teaches what a change set is.
#[component]
pub fn NoChangeSets(
    /// The workspace.
    workspace_id: String,
) -> impl IntoView {
    let request = format!("{{\"workspace_id\": \"{workspace_id}\"}}");
    view! {
        <section class="empty">
            <span class="empty-icon"><Glyph icon=Icon::Changes /></span>
            <h2>"Nothing has changed yet"</h2>
            <p>
                "Each turn of an agent that changes files leaves a change set: what it wrote, what its "
                "commands did, line by line. What people change between turns is one of its own. Here "
                "you read them, and put back what should not have happened."
            </p>
            <p>
                <a class="button primary" href=format!("/workspaces/{workspace_id}")>
                    <Glyph icon=Icon::Plus />
                    "Start a session"
                </a>
            </p>
            <FromTerminal method="ChangeService/ListChangeSets" request />
        </section>
    }
    .into_any()
}

/// Says that a scope has no changes.
#[component]
pub fn NoFiles() -> impl IntoView {
    view! {
        <section class="empty small">
            <span class="empty-icon"><Glyph icon=Icon::Changes /></span>
            <h2>"No file differs"</h2>
            <p class="quiet">
                "Nothing was changed here, or what was changed was changed back. Directories that can "
                "be rebuilt, like node_modules, are not compared."
            </p>
        </section>
    }
    .into_any()
}

//! What stands where nothing has changed yet.

use leptos::prelude::*;

use crate::components::icon::{Glyph, Icon};

/// Teaches what a change set is.
#[component]
pub fn NoChangeSets(
    /// The workspace.
    workspace_id: String,
) -> impl IntoView {
    let command = format!(
        "buf curl --protocol grpc --http2-prior-knowledge \\\n  \
         -H 'authorization: Bearer <your-token>' \\\n  \
         -d '{{\"workspace_id\": \"{workspace_id}\"}}' \\\n  \
         http://127.0.0.1:3000/membrane.v1.ChangeService/ListChangeSets"
    );
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
            <p class="quiet">"The same from a terminal, with an API token from your account page:"</p>
            <pre class="command" tabindex="0">
                <code>{command}</code>
            </pre>
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

//! What stands where a directory has no entries.

use leptos::prelude::*;

use crate::{
    components::{
        from_terminal::FromTerminal,
        icon::{Glyph, Icon},
    },
    files::Files,
};

/// Says what could be here, and how it gets here.
#[component]
pub fn Empty(
    /// The state of the page.
    files: Files,
) -> impl IntoView {
    let place = files.place();
    let heading = match place.as_str() {
        "" => "No files yet",
        _ => "This folder is empty",
    };
    let path = crate::path::join(&place, "notes.md").replace('\\', "\\\\");
    let request = files.workspace_id.with_value(|id| {
        serde_json::json!({ "workspaceId": id, "path": path, "content": "SGVsbG8K" }).to_string()
    });
    view! {
        <section class="empty">
            <span class="empty-icon"><Glyph icon=Icon::Folder /></span>
            <h2>{heading}</h2>
            <p>
                "Files live in the same tree that agents work in: what you put here they can read, and "
                "what they write appears here. Drop files or whole folders on this page, make a new "
                "file, or ask an agent for one."
            </p>
            <FromTerminal method="FileService/WriteFile" request />
        </section>
    }
    .into_any()
}

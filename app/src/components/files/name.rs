//! Names of files, which may be anything, so that they are only ever text.

use leptos::prelude::*;

use crate::{context::Place, path, text};

/// A name on its own: whatever letters it has, they turn nothing around it.
#[component]
pub fn Name(
    /// The name or path.
    text: String,
) -> impl IntoView {
    let text = text::plain(&text);
    view! { <bdi class="name" title=text.clone()>{text.clone()}</bdi> }.into_any()
}

/// What a tool calls a file, as a link to its page if it is a file of this workspace.
#[component]
pub fn FileLink(
    /// What the tool calls it.
    path: String,
    /// The line to show; 0 for none.
    #[prop(default = 0)]
    line: i64,
) -> impl IntoView {
    let text = text::plain(crate::format::path(&path));
    let place = use_context::<Place>();
    let workspace_id = place.and_then(|place| place.workspace_id.get_untracked());
    let page = workspace_id.zip(path::of_tool(&path));
    match page {
        Some((id, path)) => {
            let href = match line {
                0 => path::address(&id, &path),
                line => path::line_address(&id, &path, line),
            };
            view! { <a class="file-link mono" href=href rel="external"><bdi>{text}</bdi></a> }
                .into_any()
        }
        None => view! { <bdi class="mono">{text}</bdi> }.into_any(),
    }
}

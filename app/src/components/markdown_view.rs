//! Markdown on the page.

use leptos::prelude::*;

use crate::renderer;

/// Renders Markdown. The buttons of its code blocks are served by the transcript around it.
#[component]
pub fn MarkdownView(
    /// The source.
    #[prop(into)]
    source: Signal<String>,
    /// The id of the workspace and the directory of the file that it is from, with a slash between
    /// them, for its pictures and links; empty for what is in no file.
    #[prop(optional)]
    place: String,
) -> impl IntoView {
    view! { <div class="md" inner_html=renderer::html(source, place)></div> }.into_any()
}

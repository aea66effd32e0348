//! Markdown on the page.

use leptos::prelude::*;

use crate::renderer;

/// Renders Markdown. The buttons of its code blocks are served by the transcript around it.
#[component]
pub fn MarkdownView(
    /// The source.
    #[prop(into)]
    source: Signal<String>,
) -> impl IntoView {
    view! { <div class="md" inner_html=renderer::html(source)></div> }.into_any()
}

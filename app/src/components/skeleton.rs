//! Grey lines of the right size while something loads.

use leptos::prelude::*;

/// So many lines.
#[component]
pub fn Skeleton(
    /// How many.
    #[prop(default = 4)]
    lines: usize,
) -> impl IntoView {
    let lines = (0..lines)
        .map(|_| view! { <div class="skeleton-line"></div> })
        .collect_view();
    view! { <div class="skeleton" role="status" aria-label="Loading">{lines}</div> }.into_any()
}

//! A table of separated values.

use leptos::prelude::*;

use super::more::{More, Parts};
use crate::{
    files::{Files, Part},
    path, text,
};

/// The table.
#[component]
pub fn Sheet(
    /// The state of the page.
    files: Files,
    /// The file.
    path: String,
    /// The first of its rows.
    part: Part,
) -> impl IntoView {
    let name = text::plain(path::name(&path));
    let parts = Parts::new(files, path, &part);
    view! {
        <div class="sheet" tabindex="0" role="region" aria-label=name>
            <table>
                <tbody inner_html=part.html></tbody>
                <For
                    each=move || parts.later()
                    key=|(number, _)| *number
                    children=|(_, html)| view! { <tbody inner_html=html></tbody> }
                />
            </table>
            <More parts />
        </div>
    }
    .into_any()
}

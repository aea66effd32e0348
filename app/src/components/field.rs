//! A labelled control of a form with its hint.

use leptos::prelude::*;

/// Label, control and hint. The control names the hint with `aria-describedby`.
#[component]
pub fn Field(
    /// Id of the control.
    id: &'static str,
    /// What it is.
    label: &'static str,
    /// What to know about it; may be empty. Its element's id is `<id>-hint`.
    #[prop(optional)]
    hint: &'static str,
    /// The control.
    children: Children,
) -> impl IntoView {
    let hint = (!hint.is_empty())
        .then(|| view! { <p class="field-hint" id=format!("{id}-hint")>{hint}</p> });
    view! {
        <div class="field">
            <label class="field-label" for=id>{label}</label>
            {children()}
            {hint}
        </div>
    }
    .into_any()
}

//! Says what went wrong: what happened, whether anything was lost, what to do, and what to quote.

use leptos::prelude::*;

use super::icon::{Glyph, Icon};
use crate::api::{self, ApiError};

/// A problem in place of what should be here.
#[component]
pub fn Problem(
    /// What happened.
    error: ApiError,
    /// Whether anything was lost.
    #[prop(default = "Nothing was changed or lost.")]
    lost: &'static str,
) -> impl IntoView {
    let signed_out = error.is_unauthenticated();
    let heading = if signed_out {
        "You are signed out"
    } else if error.is_not_found() {
        "Not found"
    } else if error.is_transient() {
        "The server does not answer"
    } else {
        "This did not work"
    };
    let advice = if signed_out {
        "Sign in again to go on."
    } else if error.is_not_found() {
        "It may have been deleted, or it belongs to somebody who has not shared it with you."
    } else if error.is_transient() {
        "Wait a moment and load the page again."
    } else {
        "Load the page again. If it happens again, quote the id below."
    };
    view! {
        <section class="problem" role="alert">
            <span class="problem-icon"><Glyph icon=Icon::Warning /></span>
            <h2>{heading}</h2>
            <p>{error.message.clone()}</p>
            <p class="quiet">{lost} " " {advice}</p>
            <p class="problem-actions">
                {if signed_out {
                    view! { <a class="button primary" rel="external" href="/sign-in">"Sign in"</a> }.into_any()
                } else {
                    view! {
                        <button type="button" class="button" on:click=move |_| drop(window().location().reload())>
                            "Load again"
                        </button>
                        <a class="button" href="/">"All workspaces"</a>
                    }
                        .into_any()
                }}
            </p>
            <p class="quiet small-text">"Id to quote: " <code>{error.quote()}</code></p>
        </section>
    }
    .into_any()
}

/// A problem in place of what a page is about; the page's HTTP status says the same.
#[component]
pub fn PageProblem(
    /// What happened.
    error: ApiError,
) -> impl IntoView {
    if error.is_not_found() {
        api::set_page_status(404);
    }
    view! { <Problem error /> }.into_any()
}

/// A problem beside the control that caused it; nothing while there is none.
#[component]
pub fn InlineProblem(
    /// What happened, if anything did.
    #[prop(into)]
    error: Signal<Option<ApiError>>,
) -> impl IntoView {
    view! {
        <div class="inline-problem-place" aria-live="assertive">
            {move || {
                error
                    .get()
                    .map(|error| {
                        let violations = error
                            .field_violations
                            .iter()
                            .map(|violation| violation.description.clone())
                            .filter(|text| *text != error.message)
                            .map(|text| view! { <span>" " {text}</span> })
                            .collect_view();
                        view! {
                            <p class="inline-problem">
                                <Glyph icon=Icon::Warning />
                                <span>
                                    {error.message.clone()} {violations} " "
                                    <code>{error.quote()}</code>
                                </span>
                            </p>
                        }
                    })
            }}
        </div>
    }
    .into_any()
}

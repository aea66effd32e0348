//! A button that copies.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};

use super::icon::{Glyph, Icon};
use crate::browser;

/// Copies a text and says that it did.
#[component]
pub fn CopyButton(
    /// What to copy.
    #[prop(into)]
    text: Signal<String>,
    /// What it is, for screen readers: "Copy …".
    label: &'static str,
) -> impl IntoView {
    let done = RwSignal::new(None::<bool>);
    let copy = move |_| {
        spawn_local(async move {
            done.set(Some(browser::copy(&text.get_untracked()).await));
            set_timeout(
                move || {
                    done.try_set(None);
                },
                Duration::from_secs(2),
            );
        });
    };
    let icon = Signal::derive(move || match done.get() {
        Some(true) => Icon::Check,
        _ => Icon::Copy,
    });
    let words = move || match done.get() {
        None => "Copy",
        Some(true) => "Copied",
        Some(false) => "Select and copy by hand",
    };
    view! {
        <button type="button" class="button small" aria-label=label on:click=copy>
            <Glyph icon />
            <span aria-live="polite">{words}</span>
        </button>
    }
    .into_any()
}

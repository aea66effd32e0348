//! Light, dark, or as the system says. The choice lives in the browser; a small script in the
//! document's head applies it before the first paint.

use leptos::prelude::*;

use super::icon::{Glyph, Icon};
use crate::browser;

const STORED_AS: &str = "membrane-theme";

/// What can be chosen: the stored word, its name, its icon.
pub const CHOICES: [(&str, &str, Icon); 3] = [
    ("system", "System", Icon::Screen),
    ("light", "Light", Icon::Sun),
    ("dark", "Dark", Icon::Moon),
];

/// The chosen theme, on all pages.
#[derive(Clone, Copy)]
pub struct Theme {
    chosen: RwSignal<&'static str>,
}

impl Theme {
    /// Provides it, and finds out what was chosen before.
    pub fn provide() {
        let chosen = RwSignal::new("system");
        provide_context(Self { chosen });
        Effect::new(move || {
            let stored =
                browser::storage().and_then(|store| store.get_item(STORED_AS).ok().flatten());
            let known = CHOICES
                .iter()
                .find(|(word, ..)| stored.as_deref() == Some(*word));
            chosen.set(known.map_or("system", |(word, ..)| word));
        });
    }

    /// Chooses another one, by its word.
    pub fn choose(self, word: &'static str) {
        self.chosen.set(word);
        apply(word);
    }
}

/// Chooses the theme.
#[component]
pub fn ThemeSwitch() -> impl IntoView {
    let theme = expect_context::<Theme>();
    let buttons = CHOICES.map(|(word, name, icon)| {
        view! {
            <button
                type="button"
                class="segment"
                aria-label=name
                title=name
                aria-pressed=move || (theme.chosen.get() == word).to_string()
                on:click=move |_| theme.choose(word)
            >
                <Glyph icon />
            </button>
        }
    });
    view! { <div class="segments" role="group" aria-label="Theme">{buttons.collect_view()}</div> }
        .into_any()
}

fn apply(word: &str) {
    let Some(root) = document().document_element() else {
        return;
    };
    let store = browser::storage();
    if word == "system" {
        let _ = root.remove_attribute("data-theme");
        let _ = store.map(|store| store.remove_item(STORED_AS));
    } else {
        let _ = root.set_attribute("data-theme", word);
        let _ = store.map(|store| store.set_item(STORED_AS, word));
    }
}

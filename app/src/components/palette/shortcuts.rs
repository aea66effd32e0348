//! The list of keyboard shortcuts.

use leptos::{html, prelude::*};

use crate::components::keys;

/// Where keys work, which they are, and what they do.
const KEYS: [(&str, &[(&str, &str)]); 5] = [
    (
        "Everywhere",
        &[
            ("Ctrl K or ⌘ K", "Go to or do anything"),
            ("/", "Search in the files of the workspace"),
            ("?", "This list"),
            ("Esc", "Close what is open"),
        ],
    ),
    (
        "In a session",
        &[
            ("Enter", "Send the message"),
            ("Shift Enter", "New line"),
            ("@", "Name a file"),
            ("Esc Esc", "Stop the agent"),
        ],
    ),
    (
        "In files and search",
        &[
            ("↑ ↓ ← →", "Walk through the tree"),
            ("j k", "Walk through what was found"),
            ("Enter", "Open"),
        ],
    ),
    (
        "In changes",
        &[
            ("j k", "Next and previous file"),
            ("n p", "Next and previous change"),
            ("u", "Side by side or unified"),
            ("d", "Discard a change, after asking"),
        ],
    ),
    ("In the editor", &[("Ctrl S or ⌘ S", "Save")]),
];

/// Whether the list is shown.
#[derive(Clone, Copy)]
pub struct Shortcuts {
    dialog: NodeRef<html::Dialog>,
}

impl Shortcuts {
    /// A hidden list.
    pub fn hidden() -> Self {
        Self {
            dialog: NodeRef::new(),
        }
    }

    /// Shows it, unless another dialog is open.
    pub fn show(self) {
        let free = keys::all("dialog[open]").is_empty();
        if let Some(dialog) = self.dialog.get_untracked().filter(|_| free) {
            let _ = dialog.show_modal();
        }
    }
}

/// The list, once in every page.
#[component]
pub fn ShortcutList(
    /// Whether it is shown.
    shortcuts: Shortcuts,
) -> impl IntoView {
    let close = move || {
        if let Some(dialog) = shortcuts.dialog.get_untracked() {
            dialog.close();
        }
    };
    // Not left to the dialog: elsewhere on the page, Escape stops the agent.
    let escape = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Escape" {
            event.prevent_default();
            close();
        }
    };
    let groups = KEYS.map(|(place, keys)| {
        let rows = keys.iter().map(|(key, words)| {
            view! {
                <div>
                    <dt><kbd>{*key}</kbd></dt>
                    <dd>{*words}</dd>
                </div>
            }
        });
        view! {
            <section>
                <h3>{place}</h3>
                <dl>{rows.collect_view()}</dl>
            </section>
        }
    });
    view! {
        <dialog
            class="dialog shortcuts"
            aria-labelledby="shortcuts-heading"
            node_ref=shortcuts.dialog
            on:keydown=escape
        >
            <header>
                <h2 id="shortcuts-heading">"Keyboard shortcuts"</h2>
                <button type="button" class="button small" on:click=move |_| close()>"Close"</button>
            </header>
            <div class="shortcuts-groups">{groups.into_iter().collect_view()}</div>
        </dialog>
    }
    .into_any()
}

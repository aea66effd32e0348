//! Short words on what was just done, with what takes it back. They go by themselves.

use std::{sync::Arc, time::Duration};

use leptos::prelude::*;

use super::icon::{Glyph, Icon};

/// How long a word stays, and one with an offer.
const SHORT: Duration = Duration::from_secs(6);
const LONG: Duration = Duration::from_secs(15);
/// More are never seen at once.
const MOST: usize = 4;

/// What a button says, and what it does.
type Offer = (&'static str, Arc<dyn Fn() + Send + Sync>);

#[derive(Clone)]
struct Toast {
    id: u32,
    words: String,
    offer: Option<Offer>,
}

/// What there is to say on any page.
#[derive(Clone, Copy)]
pub struct Toasts {
    list: RwSignal<Vec<Toast>>,
    last_id: StoredValue<u32>,
}

impl Toasts {
    /// Provides them to all pages.
    pub fn provide() {
        provide_context(Self {
            list: RwSignal::new(Vec::new()),
            last_id: StoredValue::new(0),
        });
    }

    /// Says something.
    pub fn say(self, words: String) {
        self.add(words, None, SHORT);
    }

    /// Says something, with a button that does something about it.
    pub fn offer(
        self,
        words: String,
        button: &'static str,
        action: impl Fn() + Send + Sync + 'static,
    ) {
        self.add(words, Some((button, Arc::new(action))), LONG);
    }

    fn add(self, words: String, offer: Option<Offer>, stay: Duration) {
        let id = self.last_id.get_value() + 1;
        self.last_id.set_value(id);
        self.list.update(|list| {
            if list.len() >= MOST {
                list.remove(0);
            }
            list.push(Toast { id, words, offer });
        });
        set_timeout(move || self.remove(id), stay);
    }

    fn remove(self, id: u32) {
        self.list
            .try_update(|list| list.retain(|toast| toast.id != id));
    }
}

/// Where they are seen, and read aloud when there is a pause.
#[component]
pub fn ToastList() -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    let toast = move |toast: Toast| {
        let id = toast.id;
        let offer = toast.offer.map(|(words, action)| {
            let act = move |_| {
                action();
                toasts.remove(id);
            };
            view! {
                <button type="button" class="button small" on:click=act>
                    {words}
                </button>
            }
        });
        view! {
            <div class="toast">
                <bdi class="toast-words">{toast.words}</bdi>
                {offer}
                <button
                    type="button"
                    class="button small bare-button"
                    aria-label="Dismiss"
                    on:click=move |_| toasts.remove(id)
                >
                    <Glyph icon=Icon::Cross />
                </button>
            </div>
        }
    };
    view! {
        <div class="toasts" role="status" aria-live="polite">
            <For each=move || toasts.list.get() key=|toast| toast.id children=toast />
        </div>
    }
    .into_any()
}

//! What is older than the transcript here: loaded as the reader comes near.

use leptos::{html, prelude::*, task::spawn_local};

use super::{
    group_view::{Sight, keep_place},
    problem::InlineProblem,
};
use crate::{api::ApiError, live::Feed};

/// Loading what is older.
#[derive(Clone, Copy)]
pub struct Older {
    feed: Feed,
    scroller: NodeRef<html::Div>,
    place: NodeRef<html::Div>,
    busy: RwSignal<bool>,
    error: RwSignal<Option<ApiError>>,
    /// Counts what was loaded.
    loaded: RwSignal<u32>,
}

impl Older {
    /// Nothing is loaded yet.
    pub fn new(feed: Feed, scroller: NodeRef<html::Div>) -> Self {
        Self {
            feed,
            scroller,
            place: NodeRef::new(),
            busy: RwSignal::new(false),
            error: RwSignal::new(None),
            loaded: RwSignal::new(0),
        }
    }

    /// Loads the next older page, unless that has failed before: then a person asks for it.
    pub fn come_near(self) {
        if self.error.try_with_untracked(Option::is_none) == Some(true) {
            self.load();
        }
    }

    fn load(self) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        self.error.set(None);
        spawn_local(async move {
            let answer = self.feed.load_earlier(|| self.keep_place()).await;
            self.error.try_set(answer.err());
            self.busy.try_set(false);
            self.loaded.try_update(|loaded| *loaded += 1);
        });
    }

    fn keep_place(self) {
        if let Some(Some(scroller)) = self.scroller.try_get_untracked() {
            keep_place(&scroller);
        }
    }
}

/// The place before the first entry.
#[component]
pub fn Earlier(
    /// Loads it.
    older: Older,
    /// What tells whether the reader is near.
    sight: Sight,
) -> impl IntoView {
    let Older {
        feed,
        place,
        busy,
        error,
        loaded,
        ..
    } = older;
    Effect::new(move || {
        // Looked at again after each page: there may be room for more.
        loaded.track();
        if let Some(place) = place.get() {
            sight.observe(&place);
        }
    });
    move || {
        feed.has_earlier.get().then(|| {
            view! {
                <div class="earlier" node_ref=place>
                    <button
                        type="button"
                        class="button small"
                        disabled=move || busy.get()
                        on:click=move |_| older.load()
                    >
                        {move || if busy.get() { "Loading…" } else { "Load earlier" }}
                    </button>
                    <InlineProblem error />
                </div>
            }
        })
    }
}

//! Asks before somebody leaves a page with something that is not saved.

use leptos::prelude::*;
use wasm_bindgen::{JsCast as _, prelude::Closure};
use web_sys::{Element, Event, MouseEvent};

use crate::browser;

const QUESTION: &str = "Leave without saving? Your changes would be lost.";

/// Whether something on the page is not saved.
#[derive(Clone, Copy)]
pub struct Unsaved {
    /// The address of the page that has it.
    at: RwSignal<Option<String>>,
}

impl Unsaved {
    /// Begins to watch over the way out. To be called before there is a router: of an event that
    /// begins at the window, browsers tell whoever asked first.
    pub fn provide() {
        let unsaved = Self {
            at: RwSignal::new(None),
        };
        provide_context(unsaved);
        let listen = |name, heard: fn(Self, &Event)| {
            let heard = Closure::<dyn Fn(Event)>::new(move |event| heard(unsaved, &event));
            let function = heard.as_ref().unchecked_ref();
            let _ = window().add_event_listener_with_callback_and_bool(name, function, true);
            // It stays as long as the document.
            heard.forget();
        };
        listen("beforeunload", Self::unload);
        listen("click", Self::click);
        listen("popstate", Self::step);
    }

    /// Says whether this page has something that is not saved.
    pub fn set(self, is_unsaved: bool) {
        let here = is_unsaved.then(|| window().location().href().unwrap_or_default());
        self.at.try_set(here);
    }

    fn unload(self, event: &Event) {
        if self.at.with_untracked(Option::is_some) {
            event.prevent_default();
        }
    }

    fn click(self, event: &Event) {
        if leads_away(event) && !self.may_leave() {
            event.prevent_default();
            event.stop_immediate_propagation();
        }
    }

    /// The browser has gone back or forward already, and the page has not yet followed.
    fn step(self, event: &Event) {
        if self.may_leave() {
            return;
        }
        event.stop_immediate_propagation();
        if let Some(at) = self.at.get_untracked() {
            browser::push_address(&at);
        }
    }

    fn may_leave(self) -> bool {
        self.at.with_untracked(Option::is_none) || browser::confirm(QUESTION)
    }
}

/// Whether a click goes to another page without loading it, which is what the router does.
fn leads_away(event: &Event) -> bool {
    let Some(mouse) = event.dyn_ref::<MouseEvent>() else {
        return false;
    };
    let elsewhere = mouse.ctrl_key() || mouse.meta_key() || mouse.shift_key() || mouse.alt_key();
    let link = browser::target::<Element>(event)
        .and_then(|element| element.closest("a[href]").ok().flatten());
    !elsewhere && mouse.button() == 0 && link.is_some_and(|link| is_for_the_router(&link))
}

fn is_for_the_router(link: &Element) -> bool {
    let attribute = |name| link.get_attribute(name).unwrap_or_default();
    let other = link.has_attribute("download")
        || link.has_attribute("target")
        || attribute("rel").contains("external");
    !other && !attribute("href").starts_with('#')
}

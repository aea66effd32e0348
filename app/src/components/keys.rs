//! Keys that do what a link or a button of the page does.

use leptos::{ev::KeyboardEvent, prelude::*};
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use crate::browser;

/// Hands keys that are meant for the page to `act`, which says whether it was one of its own.
pub fn listen(act: impl Fn(&str) -> bool + Clone + 'static) {
    Effect::new(move || {
        let act = act.clone();
        let listener = window_event_listener(leptos::ev::keydown, move |event| {
            if is_ours(&event) && act(&event.key()) {
                event.prevent_default();
            }
        });
        on_cleanup(move || listener.remove());
    });
}

/// Whether a key is meant for the page: nobody types, no dialog is open, and no modifier makes it
/// the browser's.
fn is_ours(event: &KeyboardEvent) -> bool {
    let elsewhere = browser::target::<HtmlElement>(event).is_some_and(|target| {
        target.is_content_editable()
            || matches!(target.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
            || target
                .closest("dialog[open]")
                .is_ok_and(|dialog| dialog.is_some())
    });
    !(elsewhere
        || event.ctrl_key()
        || event.meta_key()
        || event.alt_key()
        || event.default_prevented())
}

/// Elements of the page, in its order.
pub fn all(selector: &str) -> Vec<HtmlElement> {
    let Ok(found) = document().query_selector_all(selector) else {
        return Vec::new();
    };
    let nodes = (0..found.length()).filter_map(|at| found.get(at));
    nodes.filter_map(|node| node.dyn_into().ok()).collect()
}

/// The element that has the focus.
pub fn focused() -> Option<HtmlElement> {
    document().active_element()?.dyn_into().ok()
}

/// The element that many steps from the one at which we are; the first if we are at none.
pub fn step(elements: Vec<HtmlElement>, at: Option<usize>, by: isize) -> Option<HtmlElement> {
    let last = elements.len().checked_sub(1)?;
    let to = at.map_or(0, |at| at.saturating_add_signed(by).min(last));
    elements.into_iter().nth(to)
}

/// Moves the focus among elements, and says whether there are any.
pub fn walk(selector: &str, by: isize) -> bool {
    let elements = all(selector);
    let focused = focused();
    let at = focused.and_then(|focused| {
        elements
            .iter()
            .position(|element| element.contains(Some(&focused)))
    });
    step(elements, at, by).is_some_and(|element| element.focus().is_ok())
}

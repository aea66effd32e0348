//! A group of entries, in the document while the reader is near it.

use leptos::{html, prelude::*};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{Element, IntersectionObserver, IntersectionObserverEntry, IntersectionObserverInit};

use super::entry_view::EntryView;
use crate::live::{Feed, Group};

/// How far beyond what is seen a reader is near.
const NEAR: &str = "1500px 0px";

/// Tells what is near the reader.
#[derive(Clone, Copy)]
pub struct Sight(RwSignal<Option<SendWrapper<IntersectionObserver>>>);

impl Sight {
    /// Looks from a scroller, as soon as it is there. What is observed and is no group calls `near`.
    pub fn new(feed: Feed, scroller: NodeRef<html::Div>, near: impl Fn() + Copy + 'static) -> Self {
        let sight = Self(RwSignal::new(None));
        Effect::new(move || {
            let Some(scroller) = scroller.get() else {
                return;
            };
            let observer = observer(scroller.into(), move |seen| {
                match group_of(feed, &seen.target()) {
                    Some(group) => show(&group, &seen),
                    None if seen.is_intersecting() => near(),
                    None => {}
                }
            });
            sight.0.set(observer.map(SendWrapper::new));
        });
        on_cleanup(move || {
            if let Some(Some(observer)) = sight.0.try_update(Option::take) {
                observer.disconnect();
            }
        });
        sight
    }

    /// Begins to look at something, or looks again at once.
    pub fn observe(self, element: &Element) {
        if let Some(observer) = &*self.0.read() {
            observer.unobserve(element);
            observer.observe(element);
        }
    }
}

/// The group.
#[component]
pub fn GroupView(
    /// What is in it.
    group: Group,
    /// What tells whether the reader is near.
    sight: Sight,
) -> impl IntoView {
    let place = NodeRef::<html::Div>::new();
    Effect::new(move || {
        if let Some(place) = place.get() {
            sight.observe(&place);
        }
    });
    let away = group.away.clone();
    let height = move || away.get().map(|height| format!("{height}px"));
    let id = group.id;
    let is_away = {
        let away = group.away.clone();
        Memo::new(move |_| away.get().is_some())
    };
    let body = move || {
        if is_away.get() {
            let words = group.words();
            return view! {
                <div class="group-words" hidden="until-found">
                    {words}
                </div>
            }
            .into_any();
        }
        let rows = group.rows.clone();
        view! {
            <For each=move || rows.get() key=|row| row.key.clone() let:row>
                <EntryView row />
            </For>
        }
        .into_any()
    };
    view! {
        <div class="group" role="presentation" data-group=id node_ref=place style:height=height>
            {body}
        </div>
    }
    .into_any()
}

/// The group whose place this is.
pub fn group_of(feed: Feed, place: &Element) -> Option<Group> {
    let id = place.get_attribute("data-group")?;
    feed.group(id.parse().ok()?)
}

fn show(group: &Group, seen: &IntersectionObserverEntry) {
    if seen.is_intersecting() {
        group.show();
    } else if !group.is_last() && !is_held(&seen.target()) {
        group.put_away(seen.bounding_client_rect().height());
    }
}

/// Whether a reader holds on to something in it: has the focus there, selected some of it, or opened
/// something.
fn is_held(place: &Element) -> bool {
    let focused = document().active_element();
    let selection = window().get_selection().ok().flatten();
    let selected = selection.is_some_and(|selection| {
        let touches = selection.contains_node_with_allow_partial_containment(place, true);
        !selection.is_collapsed() && touches.unwrap_or(false)
    });
    selected
        || focused.is_some_and(|focused| place.contains(Some(&focused)))
        || matches!(place.query_selector("details[open]"), Ok(Some(_)))
}

/// Keeps what is seen where it is while something before it changes. Browsers could do that by
/// themselves, but not all do, and none at the very top.
pub fn keep_place(scroller: &Element) {
    let (scroller, before) = (scroller.clone(), scroller.scroll_top());
    let edge = scroller.get_bounding_client_rect().top();
    let Some((seen, top)) = first_below(&scroller, edge) else {
        return;
    };
    request_animation_frame(move || {
        let scrolled = scroller.scroll_top() - before;
        let moved = seen.get_bounding_client_rect().top() - top + f64::from(scrolled);
        if seen.is_connected() && moved.abs() >= 1.0 {
            scroller.set_scroll_top(scroller.scroll_top() + moved.round() as i32);
        }
    });
}

/// The first entry that reaches below this edge, and where it is.
fn first_below(scroller: &Element, edge: f64) -> Option<(Element, f64)> {
    let entries = scroller.query_selector_all(".entry").ok()?;
    (0..entries.length()).find_map(|at| {
        let entry: Element = entries.get(at)?.dyn_into().ok()?;
        let place = entry.get_bounding_client_rect();
        (place.bottom() > edge).then(|| (entry, place.top()))
    })
}

fn observer(
    scroller: Element,
    seen: impl Fn(IntersectionObserverEntry) + 'static,
) -> Option<IntersectionObserver> {
    let options = IntersectionObserverInit::new();
    options.set_root(Some(&scroller));
    options.set_root_margin(NEAR);
    let callback = Closure::<dyn Fn(js_sys::Array)>::new(move |entries: js_sys::Array| {
        keep_place(&scroller);
        for entry in entries {
            seen(entry.unchecked_into());
        }
    });
    let function = callback.into_js_value();
    IntersectionObserver::new_with_options(function.unchecked_ref(), &options).ok()
}

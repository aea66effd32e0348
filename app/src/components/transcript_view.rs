//! The entries of a session in a scroller that follows the end only while the reader is there.

use std::time::Duration;

use leptos::{html, prelude::*, task::spawn_local};
use leptos_router::hooks::use_location;
use wasm_bindgen::{JsCast as _, closure::Closure};

use super::{
    earlier::{Earlier, Older},
    group_view::{GroupView, Sight, group_of},
    icon::{Glyph, Icon},
};
use crate::{
    browser,
    live::{Feed, Group},
};

/// How far from the end still counts as there, in pixels.
const NEAR: i32 = 60;
/// How often it is tried to reach an entry, and how long the page has to draw in between.
const STEPS: usize = 50;
const STEP: Duration = Duration::from_millis(60);

/// The scroller.
#[component]
pub fn TranscriptView(
    /// The session.
    feed: Feed,
) -> impl IntoView {
    let scroller = NodeRef::<html::Div>::new();
    let following = RwSignal::new(true);
    let unseen = RwSignal::new(false);
    let older = Older::new(feed, scroller);
    let sight = Sight::new(feed, scroller, move || older.come_near());
    show_addressed(feed, following);
    follow_end(feed, scroller, following, unseen);
    find_in_page(feed, scroller);
    let scrolled = move |_| {
        if let Some(scroller) = scroller.get_untracked() {
            let rest = scroller.scroll_height() - scroller.scroll_top() - scroller.client_height();
            following.set(rest < NEAR);
            if rest < NEAR {
                unseen.set(false);
            }
        }
    };
    let to_end = move |_| {
        following.set(true);
        unseen.set(false);
        scroll_to_end(scroller);
    };
    view! {
        <div
            class="scroller"
            node_ref=scroller
            on:scroll=scrolled
            on:click=copy_code
            tabindex="0"
            role="region"
            aria-label="Transcript"
        >
            <div class="transcript">
                <Earlier older sight />
                <div class="entries" role="list">
                    // A list that grows by more than one in front moves what it has, and what is
                    // moved is no longer selected and has no focus. So an arrival is one.
                    <For each=move || feed.arrivals() key=|arrival| *arrival let:arrival>
                        <For
                            each=move || feed.groups_of(arrival)
                            key=|group| group.id
                            let:group
                        >
                            <GroupView group sight />
                        </For>
                    </For>
                </div>
                {move || feed.is_empty().then(nothing_yet)}
            </div>
        </div>
        {move || {
            unseen
                .get()
                .then(|| {
                    view! {
                        <button type="button" class="pill" on:click=to_end>
                            <Glyph icon=Icon::ArrowDown />
                            "New activity"
                        </button>
                    }
                })
        }}
    }
    .into_any()
}

fn nothing_yet() -> impl IntoView {
    view! {
        <section class="empty small">
            <h2>"Nothing has been said yet"</h2>
            <p class="quiet">
                "Say below what the agent should do in this workspace. You see each file it reads, each "
                "change and each command, and it asks before it does what the settings say it must."
            </p>
        </section>
    }
    .into_any()
}

fn follow_end(
    feed: Feed,
    scroller: NodeRef<html::Div>,
    following: RwSignal<bool>,
    unseen: RwSignal<bool>,
) {
    Effect::new(move |drawn_before: Option<u32>| {
        let version = feed.version.get();
        if following.get_untracked() {
            request_animation_frame(move || scroll_to_end(scroller));
        } else if drawn_before.is_some_and(|before| before != version) {
            unseen.set(true);
        }
        version
    });
}

/// Goes to the event in the address, whenever that changes.
fn show_addressed(feed: Feed, following: RwSignal<bool>) {
    let hash = use_location().hash;
    Effect::new(move || {
        let sequence = hash.with(|hash| {
            let name = hash.trim_start_matches('#');
            name.strip_prefix('e')?.parse::<i64>().ok()
        });
        let Some(sequence) = sequence else { return };
        following.set(false);
        spawn_local(async move {
            // What can't be loaded is not gone to; the place to load it says why.
            let _ = feed.load_from(sequence).await;
            let Some((group, address)) = feed.place_of(sequence) else {
                return;
            };
            reach(&group, address).await;
        });
    });
}

/// Goes to an entry of a group that may not be in the document, or be put away again because nobody
/// is near it yet.
async fn reach(group: &Group, address: i64) {
    let mut reached = 0;
    for _ in 0..STEPS {
        group.show();
        browser::sleep(STEP).await;
        reached = if go_to(address) { reached + 1 } else { 0 };
        match reached {
            0 => bring_near(group),
            // Once more: what came near by it got its real height only now.
            1 => {}
            _ => return,
        }
    }
}

fn bring_near(group: &Group) {
    let place = document().query_selector(&format!("[data-group='{}']", group.id));
    if let Ok(Some(place)) = place {
        place.scroll_into_view();
    }
}

/// Goes to an entry and marks it; false if it is not in the document.
fn go_to(address: i64) -> bool {
    let entry = document().get_element_by_id(&format!("e{address}"));
    let Some(entry) = entry.and_then(|entry| entry.dyn_into::<web_sys::HtmlElement>().ok()) else {
        return false;
    };
    if let Ok(Some(marked)) = document().query_selector(".entry.marked") {
        let _ = marked.class_list().remove_1("marked");
    }
    let _ = entry.class_list().add_1("marked");
    let options = web_sys::ScrollIntoViewOptions::new();
    options.set_block(web_sys::ScrollLogicalPosition::Center);
    entry.scroll_into_view_with_scroll_into_view_options(&options);
    let options = web_sys::FocusOptions::new();
    options.set_prevent_scroll(true);
    let _ = entry.focus_with_options(&options);
    true
}

/// A browser that finds a word in a group that is not drawn says so before it goes there.
fn find_in_page(feed: Feed, scroller: NodeRef<html::Div>) {
    Effect::new(move || {
        let Some(scroller) = scroller.get() else {
            return;
        };
        let found = Closure::<dyn Fn(web_sys::Event)>::new(move |event| {
            let place = browser::target::<web_sys::Element>(&event);
            let place = place.and_then(|place| place.closest(".group").ok().flatten());
            if let Some(group) = place.and_then(|place| group_of(feed, &place)) {
                group.show();
            }
        });
        let function = found.into_js_value();
        let _ = scroller.add_event_listener_with_callback("beforematch", function.unchecked_ref());
    });
}

fn scroll_to_end(scroller: NodeRef<html::Div>) {
    if let Some(Some(scroller)) = scroller.try_get_untracked() {
        scroller.set_scroll_top(scroller.scroll_height());
    }
}

/// The buttons of code blocks are part of rendered Markdown, so they are listened to from here.
fn copy_code(event: web_sys::MouseEvent) {
    let clicked = browser::target::<web_sys::Element>(&event);
    let Some(button) = clicked.and_then(|clicked| clicked.closest(".code-copy").ok().flatten())
    else {
        return;
    };
    let code = button.closest(".code").ok().flatten();
    let code = code.and_then(|block| block.query_selector("pre").ok().flatten());
    let text = code
        .and_then(|code| code.text_content())
        .unwrap_or_default();
    spawn_local(async move {
        let done = browser::copy(&text).await;
        let Some(button) = button.dyn_ref::<web_sys::HtmlElement>() else {
            return;
        };
        button.set_inner_text(if done {
            "Copied"
        } else {
            "Select and copy by hand"
        });
        browser::sleep(std::time::Duration::from_secs(2)).await;
        button.set_inner_text("Copy");
    });
}

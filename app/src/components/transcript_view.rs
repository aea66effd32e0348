//! The entries of a session in a scroller that follows the end only while the reader is there.

use leptos::{html, prelude::*, task::spawn_local};
use wasm_bindgen::JsCast as _;

use super::{
    entry_view::EntryView,
    icon::{Glyph, Icon},
    problem::InlineProblem,
};
use crate::{api::ApiError, browser, live::Feed};

/// How far from the end still counts as there, in pixels.
const NEAR: i32 = 60;

/// The scroller.
#[component]
pub fn TranscriptView(
    /// The session.
    feed: Feed,
) -> impl IntoView {
    let scroller = NodeRef::<html::Div>::new();
    let following = RwSignal::new(true);
    let unseen = RwSignal::new(false);
    follow_end(feed, scroller, following, unseen);
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
                <Earlier feed scroller />
                <ol class="entries">
                    <For each=move || feed.rows() key=|row| row.key.clone() let:row>
                        <EntryView row />
                    </For>
                </ol>
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

fn scroll_to_end(scroller: NodeRef<html::Div>) {
    if let Some(Some(scroller)) = scroller.try_get_untracked() {
        scroller.set_scroll_top(scroller.scroll_height());
    }
}

/// Loads older entries and keeps in view what is in view.
#[component]
fn Earlier(feed: Feed, scroller: NodeRef<html::Div>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let load = move |_| {
        busy.set(true);
        error.set(None);
        spawn_local(async move {
            let height = || {
                scroller
                    .get_untracked()
                    .map_or(0, |scroller| scroller.scroll_height())
            };
            let before = height();
            if let Err(problem) = feed.load_earlier().await {
                error.try_set(Some(problem));
            }
            busy.try_set(false);
            request_animation_frame(move || {
                if let Some(Some(scroller)) = scroller.try_get_untracked() {
                    let grown = scroller.scroll_height() - before;
                    scroller.set_scroll_top(scroller.scroll_top() + grown);
                }
            });
        });
    };
    move || {
        feed.has_earlier.get().then(|| {
            view! {
                <div class="earlier">
                    <button type="button" class="button small" disabled=move || busy.get() on:click=load>
                        {move || if busy.get() { "Loading…" } else { "Load earlier" }}
                    </button>
                    <InlineProblem error />
                </div>
            }
        })
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

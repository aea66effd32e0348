//! Keys of the pages of changes. Each does what a link or a button of the page does.

use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use super::review::Review;
use crate::{
    changes::Layout,
    components::keys::{all, focused, listen, step, walk},
};

/// Links to files.
const FILES: &str = ".change-link";

/// Links to change sets.
const SETS: &str = ".set-link";

/// Runs of changed lines.
const HUNKS: &str = ".hunk";

/// `j` and `k` walk through the list of change sets.
pub fn listen_on_list() {
    listen(|key| match key {
        "j" => walk(SETS, 1),
        "k" => walk(SETS, -1),
        _ => false,
    });
}

/// `j` and `k` walk through files and open them, `n` and `p` through hunks; `Enter` on the open
/// file goes into it, `u` changes the layout, `d` asks whether to discard the hunk.
pub fn listen_on_review(review: Review) {
    let navigate = use_navigate();
    let go = move |address: &str| {
        let options = NavigateOptions {
            replace: true,
            scroll: false,
            ..NavigateOptions::default()
        };
        navigate(address, options);
    };
    listen(move |key| match key {
        "j" => open(&go, 1),
        "k" => open(&go, -1),
        "n" => walk(HUNKS, 1),
        "p" => walk(HUNKS, -1),
        "Enter" => enter(),
        "d" => ask(),
        "u" => {
            let layout = match review.wanted_layout_untracked() {
                Layout::Unified => Layout::Split,
                Layout::Split => Layout::Unified,
            };
            go(&untrack(|| review.href(|at| at.with_layout(layout))));
            true
        }
        _ => false,
    });
}

fn open(go: &impl Fn(&str), by: isize) -> bool {
    let files = all(FILES);
    let at = files
        .iter()
        .position(|file| file.has_attribute("aria-current"));
    let Some(file) = step(files, at, by) else {
        return false;
    };
    let _ = file.focus();
    if let Some(address) = file.get_attribute("href") {
        go(&address);
    }
    true
}

/// Goes from the list into the open file.
fn enter() -> bool {
    let on_open = focused().is_some_and(|focused| {
        focused
            .matches(".change-link[aria-current]")
            .unwrap_or(false)
    });
    let seen = |hunk: &HtmlElement| hunk.offset_height() > 0;
    on_open
        && all(HUNKS)
            .first()
            .is_some_and(|hunk| seen(hunk) && hunk.focus().is_ok())
}

fn ask() -> bool {
    let hunk = focused().and_then(|focused| focused.closest(HUNKS).ok().flatten());
    let button = hunk.and_then(|hunk| hunk.query_selector(".discard-button").ok().flatten());
    let Some(button) = button.and_then(|button| button.dyn_into::<HtmlElement>().ok()) else {
        return false;
    };
    button.click();
    true
}

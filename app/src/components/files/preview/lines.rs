//! Text as numbered lines. A click on a number makes it the address, one with the Shift key the
//! lines from there to here.

use leptos::{ev::MouseEvent, prelude::*};
use leptos_router::hooks::use_location;

use super::more::{More, Parts};
use crate::{
    browser,
    files::{Files, Part},
    path, text,
};

/// Parts that are read by themselves to come to the line of an address.
const MAX_READ: usize = 40;

/// The lines.
#[component]
pub fn Lines(
    /// The state of the page.
    files: Files,
    /// The file.
    path: String,
    /// The first of its lines.
    part: Part,
) -> impl IntoView {
    let name = text::plain(path::name(&path));
    let parts = Parts::new(files, path, &part);
    mark_lines(parts);
    view! {
        <div class="lines" tabindex="0" role="region" aria-label=name on:click=move |event| extend(files, &event)>
            <div inner_html=part.html></div>
            <For
                each=move || parts.later()
                key=|(number, _)| *number
                children=|(_, html)| view! { <div inner_html=html></div> }
            />
            <More parts />
        </div>
    }
    .into_any()
}

/// The first and the last line that an address names.
fn range(hash: &str) -> Option<(u64, u64)> {
    let (first, last) = match hash
        .trim_start_matches('#')
        .strip_prefix('L')?
        .split_once('-')
    {
        Some((first, last)) => (first, last.trim_start_matches('L')),
        None => {
            let only = hash.trim_start_matches('#').strip_prefix('L')?;
            (only, only)
        }
    };
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    Some((u64::min(first, last), u64::max(first, last)))
}

/// Marks the lines of the address and brings the first into sight.
fn mark_lines(parts: Parts) {
    let location = use_location();
    let asked = Memo::new(move |_| {
        let line = location.query.with(|query| query.get("line"));
        let line = line.and_then(|line| line.parse().ok());
        let lines = location.hash.with(|hash| range(hash));
        lines.or(line.map(|line| (line, line)))
    });
    Effect::new(move |before: Option<Option<(u64, u64)>>| {
        let (lines, read) = (asked.get(), parts.count());
        let is_new = before != Some(lines);
        // Once the text is in the document.
        request_animation_frame(move || {
            let found = mark(lines, is_new || read > 0);
            if !found && lines.is_some() && read < MAX_READ {
                parts.read();
            }
        });
        lines
    });
}

/// Says whether the first line is there.
fn mark(lines: Option<(u64, u64)>, scroll: bool) -> bool {
    if let Ok(marked) = document().query_selector_all(".line.marked") {
        for at in 0..marked.length() {
            if let Some(line) = marked.item(at) {
                let line: web_sys::Element = wasm_bindgen::JsCast::unchecked_into(line);
                let _ = line.class_list().remove_1("marked");
            }
        }
    }
    let Some((first, last)) = lines else {
        return true;
    };
    let Some(line) = document().get_element_by_id(&format!("L{first}")) else {
        return false;
    };
    let was_there = line.class_list().contains("marked");
    for number in first..=last {
        let Some(line) = document().get_element_by_id(&format!("L{number}")) else {
            break;
        };
        let _ = line.class_list().add_1("marked");
    }
    if scroll && !was_there {
        let options = web_sys::ScrollIntoViewOptions::new();
        options.set_block(web_sys::ScrollLogicalPosition::Center);
        line.scroll_into_view_with_scroll_into_view_options(&options);
    }
    true
}

/// With the Shift key, a click on a number reaches from the marked line to this one.
fn extend(files: Files, event: &MouseEvent) {
    if !event.shift_key() || event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    let clicked = browser::target::<web_sys::Element>(event);
    let number = clicked.and_then(|clicked| clicked.closest(".line > a").ok().flatten());
    let line = number.and_then(|number| number.get_attribute("href"));
    let here = window().location().hash().unwrap_or_default();
    if let (Some((to, _)), Some((from, _))) = (line.as_deref().and_then(range), range(&here)) {
        event.prevent_default();
        let (first, last) = (from.min(to), from.max(to));
        let location = window().location();
        let place = location.pathname().unwrap_or_default();
        let query = location.search().unwrap_or_default();
        files.go(format!("{place}{query}#L{first}-{last}"));
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn an_address_names_a_line_or_several() {
        for (hash, expected) in [
            ("#L12", Some((12, 12))),
            ("#L12-20", Some((12, 20))),
            ("#L20-L12", Some((12, 20))),
            ("L3", Some((3, 3))),
            ("#L", None),
            ("#L1-x", None),
            ("#part", None),
            ("", None),
        ] {
            assert_eq!(range(hash), expected, "{hash}");
        }
    }
}

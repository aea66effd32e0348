//! A scroller with a long list in it, of which only a part is in the document.

use std::ops::Range;

use leptos::{html, prelude::*};
use wasm_bindgen::JsCast as _;

use crate::files::window::{AT_FIRST, window};

/// The scroller. Its rows have the class `vrow` and all the same height.
#[derive(Clone, Copy)]
pub struct Windowed {
    /// What scrolls.
    pub scroller: NodeRef<html::Div>,
    /// What holds the rows, and is as high as if it held all of them.
    pub list: NodeRef<html::Div>,
    total: Signal<usize>,
    range: RwSignal<Range<usize>>,
}

impl Windowed {
    /// A list of so many rows.
    pub fn new(total: Signal<usize>) -> Self {
        let list = Self {
            scroller: NodeRef::new(),
            list: NodeRef::new(),
            total,
            range: RwSignal::new(AT_FIRST),
        };
        Effect::new(move || {
            total.track();
            list.scroller.track();
            list.measure();
        });
        Effect::new(move || {
            let resized = window_event_listener(leptos::ev::resize, move |_| list.measure());
            on_cleanup(move || resized.remove());
        });
        list
    }

    /// The rows to draw; tracked.
    pub fn range(self) -> Range<usize> {
        let total = self.total.get();
        self.range
            .with(|range| range.start.min(total)..range.end.min(total))
    }

    /// Finds out what is seen. Belongs to the scroller's scroll event.
    pub fn measure(self) {
        let Some((scroller, list)) = self.elements() else {
            return;
        };
        let total = self.total.get_untracked();
        let row = self.row_height();
        let top = f64::from(scroller.scroll_top() - list.offset_top());
        let range = window(total, row, top, f64::from(scroller.client_height()));
        let style = web_sys::HtmlElement::style(&list);
        let pad = |name, rows| {
            let _ = style.set_property(name, &format!("{}px", rows as f64 * row));
        };
        pad("padding-top", range.start);
        pad("padding-bottom", total - range.end);
        if self.range.get_untracked() != range {
            self.range.set(range);
        }
    }

    /// Scrolls until this row is seen, and draws it.
    pub fn reveal(self, at: usize) {
        let Some((scroller, list)) = self.elements() else {
            return;
        };
        let row = self.row_height();
        let (top, height) = (scroller.scroll_top(), scroller.client_height());
        let first = list.offset_top() + (at as f64 * row) as i32;
        let last = first + row as i32;
        if first < top {
            scroller.set_scroll_top(first);
        } else if last > top + height {
            scroller.set_scroll_top(last - height);
        }
        self.measure();
    }

    fn elements(self) -> Option<(web_sys::HtmlDivElement, web_sys::HtmlDivElement)> {
        let scroller = self.scroller.try_get_untracked()??;
        let list = self.list.try_get_untracked()??;
        Some((scroller, list))
    }

    fn row_height(self) -> f64 {
        let list = self.list.try_get_untracked().flatten();
        let row = list.and_then(|list| list.query_selector(".vrow").ok().flatten());
        let row = row.and_then(|row| row.dyn_into::<web_sys::HtmlElement>().ok());
        row.map_or(0.0, |row| f64::from(row.offset_height()))
    }
}

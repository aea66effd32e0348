//! The browser's entry point: takes over the page that the server rendered.

use js_sys::Function;
use leptos::{mount::hydrate_body, prelude::*};
use membrane_app::{App, Renderer};
use wasm_bindgen::prelude::wasm_bindgen;

/// Called by the hydration script of the page, with what fetches the renderer of Markdown.
#[wasm_bindgen]
pub fn hydrate(fetch_renderer: Function) {
    console_error_panic_hook::set_once();
    hydrate_body(move || {
        Renderer::provide(fetch_renderer);
        view! { <App /> }
    });
}

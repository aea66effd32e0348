//! The browser's entry point: takes over the page that the server rendered.

use js_sys::Function;
use leptos::{mount::hydrate_body, prelude::*};
use membrane_app::{App, EditorModule, Renderer, Unsaved};
use wasm_bindgen::prelude::wasm_bindgen;

/// Called by the hydration script of the page, with what fetches the renderer of Markdown and the
/// editor of files.
#[wasm_bindgen]
pub fn hydrate(fetch_renderer: Function, fetch_editor: Function) {
    console_error_panic_hook::set_once();
    hydrate_body(move || {
        Renderer::provide(fetch_renderer);
        EditorModule::provide(fetch_editor);
        Unsaved::provide();
        view! { <App /> }
    });
}

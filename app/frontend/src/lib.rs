//! The browser's entry point: takes over the page that the server rendered.

use leptos::mount::hydrate_body;
use membrane_app::App;
use wasm_bindgen::prelude::wasm_bindgen;

/// Called by the hydration script of the page.
#[wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    hydrate_body(App);
}

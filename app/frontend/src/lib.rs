//! The browser's entry point: takes over the page that the server rendered.

use js_sys::Function;
use leptos::{mount::hydrate_body, prelude::*};
use membrane_app::{App, EditorModule, Renderer, Unsaved, parts};
use wasm_bindgen::{JsError, prelude::wasm_bindgen};

/// Called by the hydration script of the page, with what fetches the renderer of Markdown and the
/// editor of files.
///
/// # Errors
/// When the part of the console that the page is in can't be fetched: then the page stays as it is.
#[wasm_bindgen]
pub async fn hydrate(fetch_renderer: Function, fetch_editor: Function) -> Result<(), JsError> {
    console_error_panic_hook::set_once();
    parts::fetch_first().await?;
    hydrate_body(move || {
        Renderer::provide(fetch_renderer);
        EditorModule::provide(fetch_editor);
        Unsaved::provide();
        view! { <App /> }
    });
    Ok(())
}

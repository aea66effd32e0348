//! Markdown on a page, wherever the page is drawn. A server renders it. A browser has no renderer at
//! first: what the server wrote stays, and a page that shows Markdown fetches the renderer, which is
//! a wasm module of its own. Until it is there, anything new is shown as plain text.

use leptos::prelude::*;

#[cfg(not(feature = "markdown"))]
pub use fetched::Renderer;

/// The HTML of Markdown that may change, and that stands at this place; see [`crate::markdown`].
#[cfg(feature = "markdown")]
pub fn html(source: Signal<String>, place: String) -> impl Fn() -> String + Send + 'static {
    move || source.with(|source| crate::markdown::render(source, &place))
}

/// The HTML of Markdown that may change, and that stands at this place; see `markdown`.
#[cfg(not(feature = "markdown"))]
pub fn html(source: Signal<String>, place: String) -> impl FnMut() -> String + Send + 'static {
    fetched::html(source, place)
}

#[cfg(not(feature = "markdown"))]
mod fetched {
    use std::mem;

    use js_sys::{Function, Promise};
    use leptos::{prelude::*, task::spawn_local};
    use send_wrapper::SendWrapper;
    use wasm_bindgen::{JsCast as _, JsValue};
    use wasm_bindgen_futures::JsFuture;

    use crate::format;

    /// The renderer of this page.
    #[derive(Clone, Copy)]
    pub struct Renderer {
        fetch: StoredValue<SendWrapper<Function>>,
        asked: StoredValue<bool>,
        render: RwSignal<Option<SendWrapper<Function>>>,
    }

    impl Renderer {
        /// Tells all pages how to fetch it: by a function that promises another one, which turns
        /// Markdown into HTML that is safe to insert.
        pub fn provide(fetch: Function) {
            provide_context(Self {
                fetch: StoredValue::new(SendWrapper::new(fetch)),
                asked: StoredValue::new(false),
                render: RwSignal::new(None),
            });
        }

        /// Fetches it, unless that is done or under way. Where it fails, text stays plain until the
        /// next text asks again.
        fn want(self) {
            if self.asked.get_value() {
                return;
            }
            self.asked.set_value(true);
            spawn_local(async move {
                let render = self.fetched().await;
                self.asked.set_value(render.is_some());
                self.render.set(render);
            });
        }

        async fn fetched(self) -> Option<SendWrapper<Function>> {
            let promise = self.fetch.with_value(|fetch| fetch.call0(&JsValue::NULL));
            let promise: Promise = promise.ok()?.dyn_into().ok()?;
            let render = JsFuture::from(promise).await.ok()?;
            render.dyn_into().ok().map(SendWrapper::new)
        }

        /// Markdown as HTML, if the renderer is there; tracked.
        fn render(self, source: &str, place: &str) -> Option<String> {
            let render = self.render.get()?;
            let html = render.call2(&JsValue::NULL, &source.into(), &place.into());
            html.ok()?.as_string()
        }
    }

    pub(super) fn html(
        source: Signal<String>,
        place: String,
    ) -> impl FnMut() -> String + Send + 'static {
        let renderer = use_context::<Renderer>();
        if let Some(renderer) = renderer {
            renderer.want();
        }
        let mut written = is_taken_over();
        move || {
            if mem::take(&mut written) {
                // Nothing is inserted while a page is taken over: what the server wrote stays,
                // until the source changes.
                source.track();
                return String::new();
            }
            source.with(|source| {
                let html = renderer.and_then(|renderer| renderer.render(source, &place));
                html.unwrap_or_else(|| plain(source))
            })
        }
    }

    /// Whether the page that the server wrote is being taken over at this moment.
    fn is_taken_over() -> bool {
        Owner::current_shared_context().is_some_and(|context| context.during_hydration())
    }

    fn plain(source: &str) -> String {
        let mut html = String::from("<p class=\"md-plain\">");
        format::escape(source, &mut html);
        html.push_str("</p>");
        html
    }
}

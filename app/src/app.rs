//! The document around every page, and which address shows which page.

use std::sync::Arc;

use leptos::prelude::*;
#[cfg(feature = "ssr")]
use leptos_meta::MetaTags;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    PossibleRouteMatch, SsrMode,
    components::{ParentRoute, Route, Router, Routes},
    path,
};

#[cfg(feature = "ssr")]
use crate::bundle::Bundle;
use crate::{
    components::frame::Frame,
    context::{Clock, Connection},
    pages::{missing::Missing, sign_in::SignIn, workspaces::Workspaces},
    parts::{Lazy, page},
};

/// The whole document. Only its body is taken over in the browser.
#[cfg(feature = "ssr")]
pub fn shell(bundle: &Bundle) -> impl IntoView + use<> {
    let nonce = leptos::nonce::use_nonce();
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <link rel="icon" type="image/svg+xml" href="/favicon.svg" />
                <script src=bundle.address("theme.js") nonce=nonce.clone()></script>
                <link rel="stylesheet" href=bundle.address("membrane.css") />
                <Start bundle nonce />
                <MetaTags />
            </head>
            <body>
                <App />
                <p class="not-started" id="not-started" role="alert" hidden>
                    "A part of this page could not be loaded, so nothing on it reacts. "
                    <a href="" rel="external">"Load it again"</a>
                </p>
            </body>
        </html>
    }
    .into_any()
}

/// Starts the page in the browser, and has it fetch at once all that this page needs. Leptos has a
/// component for this, but its preload links carry no nonce, and a policy with `strict-dynamic`
/// refuses them aloud.
#[cfg(feature = "ssr")]
#[component]
fn Start<'a>(bundle: &'a Bundle, nonce: Option<leptos::nonce::Nonce>) -> impl IntoView {
    let (script, module) = ("membrane.js", "membrane_bg.wasm");
    let (script, module) = (bundle.address(script), bundle.address(module));
    let (renderer, renderer_module) = ("markdown.js", "markdown_bg.wasm");
    let (renderer, renderer_module) = (bundle.address(renderer), bundle.address(renderer_module));
    let editor = bundle.address("editor/editor.js");
    let start = format!(
        "try {{ \
         const {{ default: start, hydrate }} = await import({script:?}); \
         await start({{ module_or_path: {module:?} }}); \
         await hydrate(async () => {{ \
         const renderer = await import({renderer:?}); \
         await renderer.default({{ module_or_path: {renderer_module:?} }}); \
         return renderer.render; }}, () => import({editor:?})); \
         document.documentElement.dataset.alive = ''; \
         }} catch (error) {{ \
         document.getElementById('not-started').hidden = false; \
         throw error; }}"
    );
    let request = use_context::<http::request::Parts>();
    let lazy = request.and_then(|request| Lazy::at(request.uri.path()));
    let part = lazy.into_iter().flat_map(|lazy| bundle.part(lazy.part()));
    let preloads = [module].into_iter().chain(part).map(|file| {
        view! { <link rel="preload" href=file r#as="fetch" r#type="application/wasm" crossorigin="" /> }
    });
    let scripts = ["membrane.js", "__wasm_split.js"].map(|file| {
        view! { <link rel="modulepreload" href=bundle.address(file) nonce=nonce.clone() /> }
    });
    view! {
        {scripts.into_iter().collect_view()}
        {preloads.collect_view()}
        <script type="module" nonce=nonce.clone()>
            {start}
        </script>
    }
}

/// Every page of the console. All are rendered whole before they are sent: what they need is a
/// call within the same process, and a page without scripts is then a page.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    Clock::provide();
    Connection::provide();
    view! {
        <Title formatter=|title: String| format!("{title} · Membrane") />
        <Router>
            <Routes fallback=Missing>
                <Route path=at(path!("/sign-in")) view=SignIn ssr=SsrMode::Async />
                <ParentRoute path=at(path!("")) view=Frame ssr=SsrMode::Async>
                    <Route path=at(path!("/")) view=Workspaces ssr=SsrMode::Async />
                    <Route path=at(path!("/account")) view=page(Lazy::Account) ssr=SsrMode::Async />
                    <Route path=at(path!("/account/secrets")) view=page(Lazy::Secrets) ssr=SsrMode::Async />
                    <Route path=at(path!("/workspaces/new")) view=page(Lazy::NewWorkspace) ssr=SsrMode::Async />
                    <Route path=at(path!("/workspaces/:workspace")) view=page(Lazy::Home) ssr=SsrMode::Async />
                    <Route
                        path=at(path!("/workspaces/:workspace/settings"))
                        view=page(Lazy::Settings)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/activity"))
                        view=page(Lazy::Activity)
                        ssr=SsrMode::Async
                    />
                    <ParentRoute
                        path=at(path!("/workspaces/:workspace/files"))
                        view=page(Lazy::Files)
                        ssr=SsrMode::Async
                    >
                        <Route path=at(path!("")) view=|| () ssr=SsrMode::Async />
                        <Route path=at(path!("/*path")) view=|| () ssr=SsrMode::Async />
                    </ParentRoute>
                    <Route
                        path=at(path!("/workspaces/:workspace/search"))
                        view=page(Lazy::Search)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/runs"))
                        view=page(Lazy::Runs)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/runs/:run"))
                        view=page(Lazy::Run)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/schedules"))
                        view=page(Lazy::Schedules)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/schedules/:schedule"))
                        view=page(Lazy::Schedule)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/snapshots"))
                        view=page(Lazy::Snapshots)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/snapshots/:snapshot"))
                        view=page(Lazy::Changes)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/snapshots/:snapshot/to/:other"))
                        view=page(Lazy::Changes)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/trash"))
                        view=page(Lazy::Trash)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/edit/*path"))
                        view=page(Lazy::Edit)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/sessions/:session"))
                        view=page(Lazy::Session)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/sessions/:session/changes"))
                        view=page(Lazy::Changes)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/changes"))
                        view=page(Lazy::ChangeSets)
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=at(path!("/workspaces/:workspace/changes/:set"))
                        view=page(Lazy::Changes)
                        ssr=SsrMode::Async
                    />
                </ParentRoute>
            </Routes>
        </Router>
    }
    .into_any()
}

/// An address of a page. All have one type, so that the router is not compiled for each.
fn at(
    path: impl PossibleRouteMatch + Send + Sync + 'static,
) -> Arc<dyn PossibleRouteMatch + Send + Sync> {
    Arc::new(path)
}

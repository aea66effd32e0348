//! The document around every page, and which address shows which page.

use leptos::prelude::*;
#[cfg(feature = "ssr")]
use leptos_meta::MetaTags;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{ParentRoute, Route, Router, Routes},
    path,
};

use crate::{
    components::frame::Frame,
    context::{Clock, Connection},
    pages::{
        account::Account, change_sets::ChangeSets, changes::Changes, edit::EditPage,
        files::FilesPage, home::Home, missing::Missing, new_workspace::NewWorkspace,
        session::SessionPage, settings::Settings, sign_in::SignIn, trash::TrashPage,
        workspaces::Workspaces,
    },
};

/// The whole document. Only its body is taken over in the browser.
#[cfg(feature = "ssr")]
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let nonce = leptos::nonce::use_nonce();
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <link rel="icon" type="image/svg+xml" href="/favicon.svg" />
                <script src="/pkg/theme.js" nonce=nonce.clone()></script>
                <link rel="stylesheet" href="/pkg/membrane.css" />
                <Start options nonce />
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
    .into_any()
}

/// Starts the page in the browser. Leptos has a component for this, but its preload links carry no
/// nonce, and a policy with `strict-dynamic` refuses them aloud.
#[cfg(feature = "ssr")]
#[component]
fn Start(options: LeptosOptions, nonce: Option<leptos::nonce::Nonce>) -> impl IntoView {
    let files = format!("/{}/{}", options.site_pkg_dir, options.output_name);
    let (script, module) = (format!("{files}.js"), format!("{files}_bg.wasm"));
    let markdown = format!("/{}/markdown", options.site_pkg_dir);
    let (renderer, renderer_module) = (format!("{markdown}.js"), format!("{markdown}_bg.wasm"));
    let editor = format!("/{}/editor/editor.js", options.site_pkg_dir);
    let start = format!(
        "import start, {{ hydrate }} from {script:?}; \
         await start({{ module_or_path: {module:?} }}); \
         hydrate(async () => {{ \
         const renderer = await import({renderer:?}); \
         await renderer.default({{ module_or_path: {renderer_module:?} }}); \
         return renderer.render; }}, () => import({editor:?}));"
    );
    view! {
        <link rel="modulepreload" href=script nonce=nonce.clone() />
        <link rel="preload" href=module r#as="fetch" r#type="application/wasm" crossorigin="" />
        <script type="module" nonce=nonce>
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
                <Route path=path!("/sign-in") view=SignIn ssr=SsrMode::Async />
                <ParentRoute path=path!("") view=Frame ssr=SsrMode::Async>
                    <Route path=path!("/") view=Workspaces ssr=SsrMode::Async />
                    <Route path=path!("/account") view=Account ssr=SsrMode::Async />
                    <Route path=path!("/workspaces/new") view=NewWorkspace ssr=SsrMode::Async />
                    <Route path=path!("/workspaces/:workspace") view=Home ssr=SsrMode::Async />
                    <Route
                        path=path!("/workspaces/:workspace/settings")
                        view=Settings
                        ssr=SsrMode::Async
                    />
                    <ParentRoute
                        path=path!("/workspaces/:workspace/files")
                        view=FilesPage
                        ssr=SsrMode::Async
                    >
                        <Route path=path!("") view=|| () ssr=SsrMode::Async />
                        <Route path=path!("/*path") view=|| () ssr=SsrMode::Async />
                    </ParentRoute>
                    <Route
                        path=path!("/workspaces/:workspace/trash")
                        view=TrashPage
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=path!("/workspaces/:workspace/edit/*path")
                        view=EditPage
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=path!("/workspaces/:workspace/sessions/:session")
                        view=SessionPage
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=path!("/workspaces/:workspace/sessions/:session/changes")
                        view=Changes
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=path!("/workspaces/:workspace/changes")
                        view=ChangeSets
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=path!("/workspaces/:workspace/changes/:set")
                        view=Changes
                        ssr=SsrMode::Async
                    />
                </ParentRoute>
            </Routes>
        </Router>
    }
    .into_any()
}

//! What surrounds every page but the one for signing in.

use leptos::prelude::*;
use leptos_router::{
    components::Outlet,
    hooks::{use_location, use_navigate},
};

use super::{
    connection::ConnectionBanner,
    keys,
    palette::{
        Palette, PaletteDialog,
        shortcuts::{ShortcutList, Shortcuts},
    },
    rail::{Rail, Tabs},
    sandbox::SandboxBar,
    search::form,
    theme::Theme,
    toasts::{ToastList, Toasts},
};
use crate::{
    context::Place,
    files::uploads::Uploads,
    parts::{self, Lazy},
    stream::Stream,
};

/// Rail, bars, the page, and tabs on phones.
#[component]
pub fn Frame() -> impl IntoView {
    let pathname = use_location().pathname;
    let place = Place::provide(pathname);
    parts::fetch_ahead(pathname);
    Stream::provide(place);
    Toasts::provide();
    Uploads::provide();
    let uploads = expect_context::<Uploads>();
    let uploading = Memo::new(move |_| !uploads.list().is_empty());
    Theme::provide();
    let shortcuts = Shortcuts::hidden();
    Palette::provide(place, shortcuts);
    listen(place, shortcuts);
    view! {
        <a class="skip" href="#main">"Skip to the page"</a>
        <div class="frame">
            <Rail />
            <div class="column">
                <Transition>
                    {move || Suspend::new(async move {
                        place.me.await.ok().map(|me| view! { <SandboxBar me=me.0 /> })
                    })}
                </Transition>
                <ConnectionBanner />
                <main id="main" class="main" tabindex="-1">
                    <Outlet />
                </main>
                <Tabs />
            </div>
            <div class="corner">
                {move || uploading.get().then(|| parts::show(Lazy::Uploads))}
                <ToastList />
            </div>
        </div>
        <PaletteDialog />
        <ShortcutList shortcuts />
    }
    .into_any()
}

/// Keys that every page knows.
fn listen(place: Place, shortcuts: Shortcuts) {
    let navigate = use_navigate();
    keys::listen(move |key| match (key, place.workspace_id.get_untracked()) {
        ("/", Some(id)) => {
            if !form::focus() {
                navigate(&format!("/workspaces/{id}/search"), Default::default());
            }
            true
        }
        ("?", _) => {
            shortcuts.show();
            true
        }
        _ => false,
    });
}

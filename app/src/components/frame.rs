//! What surrounds every page but the one for signing in.

use leptos::prelude::*;
use leptos_router::{components::Outlet, hooks::use_location};

use super::{
    connection::ConnectionBanner,
    files::UploadPanel,
    rail::{Rail, Tabs},
    sandbox::SandboxBar,
    toasts::{ToastList, Toasts},
};
use crate::{context::Place, files::uploads::Uploads};

/// Rail, bars, the page, and tabs on phones.
#[component]
pub fn Frame() -> impl IntoView {
    let place = Place::provide(use_location().pathname);
    Toasts::provide();
    Uploads::provide();
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
                <UploadPanel />
                <ToastList />
            </div>
        </div>
    }
    .into_any()
}

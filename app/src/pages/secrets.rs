//! The caller's secrets.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::components::{header::Header, secrets::SecretList};

/// The page.
#[component]
pub fn SecretsPage() -> impl IntoView {
    view! {
        <Title text="Secrets" />
        <Header title="Secrets" />
        <div class="page narrow">
            <SecretList />
        </div>
    }
    .into_any()
}

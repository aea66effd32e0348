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
            <p class="field-hint">
                <a href="/account">"Account"</a>
                " › Named values that are yours alone. What is stored here is masked in everything that "
                "agents say and print in workspaces in which you may work."
            </p>
            <SecretList />
        </div>
    }
    .into_any()
}

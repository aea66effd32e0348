//! One secret: what is known of it, a new value for it, and its end.

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use super::{Secrets, ValueField};
use crate::{
    api::{self, ApiError},
    components::{
        icon::{Glyph, Icon},
        problem::InlineProblem,
        time::Time,
    },
};

/// What can be open below a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Rotate,
    Delete,
}

/// What is open, and below which secret: one thing in the whole list.
pub(super) type Asked = RwSignal<Option<(Ask, String)>>;

/// A secret of the list.
#[component]
pub(super) fn SecretRow(secret: pb::Secret, secrets: Secrets, asked: Asked) -> impl IntoView {
    let name = StoredValue::new(secret.name.clone());
    let open = Memo::new(move |_| {
        let asked = asked.get().filter(|(_, of)| *of == name.get_value());
        asked.map(|(ask, _)| ask)
    });
    let toggle = move |ask| {
        let is_open = open.get_untracked() == Some(ask);
        asked.set((!is_open).then(|| (ask, name.get_value())));
    };
    let below = move || match open.get() {
        None => ().into_any(),
        Some(Ask::Rotate) => view! { <Rotate name secrets asked /> }.into_any(),
        Some(Ask::Delete) => view! { <Delete name secrets asked /> }.into_any(),
    };
    let unmasked = (!secret.redacted).then(|| {
        view! { <span class="tag">"too short to be masked"</span> }
    });
    view! {
        <li class="token secret-row">
            <Glyph icon=Icon::Key />
            <span class="row-main">
                <span class="row-title mono">{secret.name.clone()}</span>
                <span class="choice-sub">
                    "stored " <Time time=secret.update_time /> ", last used "
                    <Time time=secret.last_use_time />
                </span>
            </span>
            {unmasked}
            <span class="secret-actions">
                <button
                    type="button"
                    class="button small"
                    aria-label=format!("Rotate {}", secret.name)
                    aria-expanded=move || (open.get() == Some(Ask::Rotate)).to_string()
                    on:click=move |_| toggle(Ask::Rotate)
                >
                    "Rotate"
                </button>
                <button
                    type="button"
                    class="button small danger"
                    aria-label=format!("Delete {}", secret.name)
                    aria-expanded=move || (open.get() == Some(Ask::Delete)).to_string()
                    on:click=move |_| toggle(Ask::Delete)
                >
                    "Delete"
                </button>
            </span>
            {below}
        </li>
    }
    .into_any()
}

#[component]
fn Rotate(name: StoredValue<String>, secrets: Secrets, asked: Asked) -> impl IntoView {
    let value = RwSignal::new(String::new());
    let error = RwSignal::new(None::<ApiError>);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        error.set(None);
        let request = pb::RotateSecretRequest {
            name: name.get_value(),
            // It leaves the page as soon as it is read.
            value: std::mem::take(&mut *value.write()),
        };
        spawn_local(async move {
            match api::secrets().rotate_secret(request).await {
                Ok(_) => {
                    asked.try_set(None);
                    secrets.refetch();
                }
                Err(status) => {
                    error.try_set(Some(status.into()));
                }
            }
        });
    };
    view! {
        <form class="secret-form" on:submit=submit>
            <ValueField id="rotated-value" value />
            <div class="secret-actions">
                <button type="submit" class="button primary small">"Store the new value"</button>
                <button type="button" class="button small" on:click=move |_| asked.set(None)>
                    "Cancel"
                </button>
            </div>
            <InlineProblem error />
        </form>
    }
    .into_any()
}

#[component]
fn Delete(name: StoredValue<String>, secrets: Secrets, asked: Asked) -> impl IntoView {
    let error = RwSignal::new(None::<ApiError>);
    let delete = move |_| {
        error.set(None);
        spawn_local(async move {
            let request = pb::DeleteSecretRequest {
                name: name.get_value(),
            };
            match api::secrets().delete_secret(request).await {
                Ok(_) => {
                    asked.try_set(None);
                    secrets.refetch();
                }
                Err(status) => {
                    error.try_set(Some(status.into()));
                }
            }
        });
    };
    view! {
        <div class="secret-form" role="group" aria-label="Confirm">
            <p>
                "The value is gone for good, and is not masked any more where it still stands in files. "
                "Revoke it where it is valid, too."
            </p>
            <div class="secret-actions">
                <button type="button" class="button danger small" on:click=delete>"Really delete"</button>
                <button type="button" class="button small" on:click=move |_| asked.set(None)>
                    "Keep it"
                </button>
            </div>
            <InlineProblem error />
        </div>
    }
    .into_any()
}

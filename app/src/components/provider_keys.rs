//! Keys for model providers: stored, replaced, deleted, tried; never shown.

use leptos::{ev::SubmitEvent, html, prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use super::{
    icon::{Glyph, Icon},
    problem::InlineProblem,
    time::Time,
};
use crate::{
    api::{self, ApiError},
    words::{PROVIDERS, provider_name},
};

/// The keys of a workspace.
#[component]
pub fn ProviderKeys(
    /// The workspace.
    workspace_id: String,
    /// The provider that is chosen on the page.
    provider: RwSignal<pb::Provider>,
    /// Whether the caller may change keys.
    owner: bool,
) -> impl IntoView {
    let id = StoredValue::new(workspace_id);
    let keys = Resource::new(|| (), move |()| api::load(list(id.get_value())));
    let rows = move || {
        Suspend::new(async move {
            match keys.await {
                Ok(stored) => PROVIDERS
                    .into_iter()
                    .filter(|(provider, _)| *provider != pb::Provider::Demo)
                    .map(|(which, _)| {
                        let key = stored
                            .0
                            .provider_keys
                            .iter()
                            .find(|key| key.provider() == which);
                        view! { <KeyRow id which key=key.copied() owner keys provider /> }
                    })
                    .collect_view()
                    .into_any(),
                Err(error) => view! { <li>{error.message}</li> }.into_any(),
            }
        })
    };
    view! {
        <section class="block" aria-labelledby="keys-heading" id="keys">
            <h2 class="section-heading" id="keys-heading">"Provider keys"</h2>
            <p class="field-hint">
                "Keys are encrypted, bound to this workspace, and never shown again, not even in part. "
                "An agent's processes never see them, and where one turns up in what an agent says or "
                "prints, it is masked."
            </p>
            <ul class="keys">
                <Transition>{rows}</Transition>
            </ul>
            <TestProvider id />
        </section>
    }
    .into_any()
}

#[component]
fn KeyRow(
    id: StoredValue<String>,
    which: pb::Provider,
    key: Option<pb::ProviderKey>,
    owner: bool,
    keys: Resource<api::Reply<pb::ListProviderKeysResponse>>,
    provider: RwSignal<pb::Provider>,
) -> impl IntoView {
    let error = RwSignal::new(None::<ApiError>);
    let busy = RwSignal::new(false);
    let input = NodeRef::<html::Input>::new();
    let store = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(field) = input.get_untracked() else {
            return;
        };
        let key = field.value().trim().to_owned();
        // It leaves the page as soon as it is read.
        field.set_value("");
        if key.is_empty() {
            return;
        }
        change(busy, error, keys, async move {
            set(id.get_value(), which, key).await
        });
    };
    let asked = RwSignal::new(false);
    let delete = move |_| {
        if !asked.get_untracked() {
            return asked.set(true);
        }
        change(busy, error, keys, async move {
            remove(id.get_value(), which).await
        })
    };
    let stored = key.is_some();
    let label = format!("Key for {}", provider_name(which));
    view! {
        <li class="key" class:current=move || provider.get() == which>
            <div class="key-head">
                <Glyph icon=Icon::Key />
                <span class="choice-title">{provider_name(which)}</span>
                <span class="choice-sub">{key.map(key_facts)}</span>
                {(stored && owner)
                    .then(|| {
                        view! {
                            <button
                                type="button"
                                class="button small danger"
                                disabled=move || busy.get()
                                on:click=delete
                            >
                                {move || if asked.get() { "Really delete?" } else { "Delete" }}
                            </button>
                        }
                    })}
            </div>
            {owner
                .then(|| {
                    view! {
                        <form class="key-form" on:submit=store>
                            <input
                                class="input mono"
                                type="password"
                                aria-label=label
                                autocomplete="off"
                                spellcheck="false"
                                maxlength="4096"
                                placeholder="<your-key>"
                                node_ref=input
                            />
                            <button type="submit" class="button small" disabled=move || busy.get()>
                                {if stored { "Replace" } else { "Store" }}
                            </button>
                        </form>
                    }
                })}
            <InlineProblem error />
        </li>
    }
    .into_any()
}

fn key_facts(key: pb::ProviderKey) -> impl IntoView {
    view! {
        "stored "
        <Time time=key.create_time />
        ", last used "
        <Time time=key.last_use_time />
    }
    .into_any()
}

fn change(
    busy: RwSignal<bool>,
    error: RwSignal<Option<ApiError>>,
    keys: Resource<api::Reply<pb::ListProviderKeysResponse>>,
    work: impl Future<Output = Result<(), ApiError>> + 'static,
) {
    busy.set(true);
    error.set(None);
    spawn_local(async move {
        match work.await {
            Ok(()) => keys.refetch(),
            Err(problem) => {
                error.try_set(Some(problem));
            }
        }
        busy.try_set(false);
    });
}

/// Tries what is saved.
#[component]
fn TestProvider(id: StoredValue<String>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let answer = RwSignal::new(None::<pb::TestProviderResponse>);
    let test = move |_| {
        busy.set(true);
        error.set(None);
        answer.set(None);
        spawn_local(async move {
            let request = pb::TestProviderRequest {
                workspace_id: id.get_value(),
            };
            match api::workspaces().test_provider(request).await {
                Ok(found) => {
                    answer.try_set(Some(found.into_inner()));
                }
                Err(status) => {
                    error.try_set(Some(status.into()));
                }
            }
            busy.try_set(false);
        });
    };
    view! {
        <div class="key-test">
            <button type="button" class="button" disabled=move || busy.get() on:click=test>
                <Glyph icon=Icon::Plug />
                {move || if busy.get() { "Testing…" } else { "Test" }}
            </button>
            <span class="quiet">"One small call with the saved provider, key and model."</span>
        </div>
        <div aria-live="polite">{move || answer.get().map(test_answer)}</div>
        <InlineProblem error />
    }
    .into_any()
}

fn test_answer(answer: pb::TestProviderResponse) -> impl IntoView {
    if answer.ok {
        let words = format!(
            "It works: {} answered in {} ms.",
            answer.model, answer.latency_ms
        );
        view! {
            <p class="remark-line good">
                <Glyph icon=Icon::Check />
                <span>{words}</span>
            </p>
        }
        .into_any()
    } else {
        view! {
            <p class="remark-line bad">
                <Glyph icon=Icon::Warning />
                <span>{answer.message} " " <code>{answer.reason}</code></span>
            </p>
        }
        .into_any()
    }
}

async fn list(workspace_id: String) -> Result<pb::ListProviderKeysResponse, ApiError> {
    let request = pb::ListProviderKeysRequest { workspace_id };
    Ok(api::workspaces()
        .list_provider_keys(request)
        .await?
        .into_inner())
}

async fn set(workspace_id: String, provider: pb::Provider, key: String) -> Result<(), ApiError> {
    let request = pb::SetProviderKeyRequest {
        workspace_id,
        provider: provider.into(),
        key,
    };
    api::workspaces().set_provider_key(request).await?;
    Ok(())
}

async fn remove(workspace_id: String, provider: pb::Provider) -> Result<(), ApiError> {
    let request = pb::DeleteProviderKeyRequest {
        workspace_id,
        provider: provider.into(),
    };
    api::workspaces().delete_provider_key(request).await?;
    Ok(())
}

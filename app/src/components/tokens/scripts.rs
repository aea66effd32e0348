//! API tokens: made, shown once, listed, deleted.

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use super::{
    copy::CopyButton,
    field::Field,
    icon::{Glyph, Icon},
    problem::InlineProblem,
    time::Time,
};
use crate::{
    api::{self, ApiError},
    browser,
};

type Tokens = Resource<api::Reply<pb::ListApiTokensResponse>>;

/// The tokens of the caller.
#[component]
pub fn ApiTokens() -> impl IntoView {
    let tokens: Tokens = Resource::new(|| (), |()| api::load(list()));
    let rows = move || {
        Suspend::new(async move {
            match tokens.await {
                Ok(list) if list.0.api_tokens.is_empty() => {
                    view! { <li class="quiet">"No tokens yet."</li> }.into_any()
                }
                Ok(list) => list
                    .0
                    .api_tokens
                    .into_iter()
                    .map(|token| view! { <TokenRow token tokens /> })
                    .collect_view()
                    .into_any(),
                Err(error) => view! { <li>{error.message}</li> }.into_any(),
            }
        })
    };
    view! {
        <section class="block" aria-labelledby="tokens-heading">
            <h2 class="section-heading" id="tokens-heading">"API tokens"</h2>
            <p class="field-hint">
                "A token lets a script do what you may do. Everything this console does, it does "
                "through the same API."
            </p>
            <NewToken tokens />
            <ul class="tokens">
                <Transition>{rows}</Transition>
            </ul>
            <Hint />
        </section>
    }
    .into_any()
}

#[component]
fn NewToken(tokens: Tokens) -> impl IntoView {
    let made = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let submit = move |event: SubmitEvent| {
        let Some((form, data)) = browser::submitted(&event) else {
            return;
        };
        busy.set(true);
        error.set(None);
        made.set(None);
        let request = pb::CreateApiTokenRequest {
            name: browser::field(&data, "name").trim().to_owned(),
            lifetime_days: browser::field(&data, "lifetime").parse().unwrap_or(0),
        };
        spawn_local(async move {
            match api::accounts().create_api_token(request).await {
                Ok(answer) => {
                    made.try_set(Some(answer.into_inner().secret));
                    form.reset();
                    tokens.refetch();
                }
                Err(status) => {
                    error.try_set(Some(status.into()));
                }
            }
            busy.try_set(false);
        });
    };
    view! {
        <form class="token-form" on:submit=submit>
            <Field id="token-name" label="What it is for">
                <input
                    class="input"
                    id="token-name"
                    name="name"
                    required
                    maxlength="100"
                    autocomplete="off"
                    placeholder="nightly script"
                />
            </Field>
            <Field id="token-lifetime" label="Valid for">
                <select class="input" id="token-lifetime" name="lifetime">
                    <option value="30">"30 days"</option>
                    <option value="90" selected>"90 days"</option>
                    <option value="365">"1 year"</option>
                    <option value="0">"No end"</option>
                </select>
            </Field>
            <button type="submit" class="button primary" disabled=move || busy.get()>"Create token"</button>
        </form>
        <InlineProblem error />
        <div aria-live="polite">{move || made.get().map(|secret| view! { <Secret secret made /> })}</div>
    }
    .into_any()
}

/// The one time that a secret is seen.
#[component]
fn Secret(secret: String, made: RwSignal<Option<String>>) -> impl IntoView {
    view! {
        <div class="secret">
            <p>
                <strong>"Copy it now."</strong>
                " It is shown this once and kept nowhere else."
            </p>
            <div class="secret-line">
                <code class="mono">{secret.clone()}</code>
                <CopyButton text=secret label="Copy the token" />
                <button type="button" class="button small" on:click=move |_| made.set(None)>"Done"</button>
            </div>
        </div>
    }
    .into_any()
}

#[component]
fn TokenRow(token: pb::ApiToken, tokens: Tokens) -> impl IntoView {
    let asked = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let id = StoredValue::new(token.id);
    let delete = move |_| {
        if !asked.get_untracked() {
            return asked.set(true);
        }
        spawn_local(async move {
            let request = pb::DeleteApiTokenRequest {
                api_token_id: id.get_value(),
            };
            match api::accounts().delete_api_token(request).await {
                Ok(_) => tokens.refetch(),
                Err(status) => {
                    error.try_set(Some(status.into()));
                }
            }
        });
    };
    let ends = match token.expire_time {
        Some(time) => view! { ", ends " <Time time=Some(time) /> }.into_any(),
        None => ", no end".into_any(),
    };
    view! {
        <li class="token">
            <Glyph icon=Icon::Key />
            <span class="row-main">
                <span class="row-title">{token.name}</span>
                <span class="choice-sub">
                    "made " <Time time=token.create_time /> ", last used "
                    <Time time=token.last_use_time /> {ends}
                </span>
            </span>
            <button type="button" class="button small danger" on:click=delete>
                {move || if asked.get() { "Really delete?" } else { "Delete" }}
            </button>
            <InlineProblem error />
        </li>
    }
    .into_any()
}

#[component]
fn Hint() -> impl IntoView {
    view! {
        <details class="hint">
            <summary>"Use it from a script"</summary>
            <pre class="command" tabindex="0">
                <code>
                    "buf curl --protocol grpc --http2-prior-knowledge \\\n  \
                     -H 'authorization: Bearer <your-token>' \\\n  -d '{}' \\\n  \
                     http://127.0.0.1:3000/membrane.v1.WorkspaceService/ListWorkspaces"
                </code>
            </pre>
            <p class="field-hint">
                "The server describes itself by gRPC reflection, so grpcurl and generated clients work "
                "as well."
            </p>
        </details>
    }
    .into_any()
}

async fn list() -> Result<pb::ListApiTokensResponse, ApiError> {
    let request = pb::ListApiTokensRequest {
        page_size: 200,
        ..Default::default()
    };
    Ok(api::accounts().list_api_tokens(request).await?.into_inner())
}

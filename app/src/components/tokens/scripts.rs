//! The API tokens of a user.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use super::{Kind, NewToken, TokenRow, rows};
use crate::{
    api::{self, ApiError},
    components::{field::Field, time::Time},
};

/// The tokens of the caller.
#[component]
pub fn ApiTokens() -> impl IntoView {
    let tokens = Resource::new(|| (), |()| api::load(read()));
    let changed = Callback::new(move |()| tokens.refetch());
    let list = move || {
        Suspend::new(async move {
            let tokens = tokens.await.map(|list| list.0.api_tokens);
            rows(tokens, |token| row(token, changed))
        })
    };
    view! {
        <section class="block" aria-labelledby="tokens-heading">
            <h2 class="section-heading" id="tokens-heading">"API tokens"</h2>
            <p class="field-hint">
                "A token lets a script do what you may do. Everything this console does, it does "
                "through the same API."
            </p>
            <NewToken kind=Kind::Api changed>
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
            </NewToken>
            <ul class="tokens">
                <Transition>{list}</Transition>
            </ul>
            <Hint />
        </section>
    }
    .into_any()
}

fn row(token: pb::ApiToken, changed: Callback<()>) -> impl IntoView {
    let ends = match token.expire_time {
        Some(time) => view! { ", ends " <Time time=Some(time) /> }.into_any(),
        None => ", no end".into_any(),
    };
    view! {
        <TokenRow kind=Kind::Api id=token.id name=token.name changed>
            "made " <Time time=token.create_time /> ", last used " <Time time=token.last_use_time />
            {ends}
        </TokenRow>
    }
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

async fn read() -> Result<pb::ListApiTokensResponse, ApiError> {
    let request = pb::ListApiTokensRequest {
        page_size: 200,
        ..Default::default()
    };
    Ok(api::accounts().list_api_tokens(request).await?.into_inner())
}

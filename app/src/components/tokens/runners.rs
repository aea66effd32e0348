//! The tokens of this server's runners, for its administrators.

use std::collections::HashMap;

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use super::{Kind, NewToken, TokenRow, rows};
use crate::{
    api::{self, ApiError},
    components::{field::Field, time::Time},
    pages::workspaces,
};

/// The tokens of all runners.
#[component]
pub fn RunnerTokens() -> impl IntoView {
    let tokens = Resource::new(|| (), |()| api::load(read()));
    let workspaces = Resource::new(|| (), |()| api::load(workspaces::load()));
    let changed = Callback::new(move |()| tokens.refetch());
    let choices = move || {
        Suspend::new(async move {
            let all = workspaces.await.map(|all| all.0.workspaces);
            let choices = all.unwrap_or_default().into_iter();
            choices
                .map(|workspace| view! { <option value=workspace.id>{workspace.name}</option> })
                .collect_view()
        })
    };
    let list = move || {
        Suspend::new(async move {
            let all = workspaces.await.map(|all| all.0.workspaces);
            let named = all.unwrap_or_default().into_iter();
            let named: HashMap<_, _> = named.map(|one| (one.id, one.name)).collect();
            let tokens = tokens.await.map(|list| list.0.runner_tokens);
            rows(tokens, |token| row(token, &named, changed))
        })
    };
    view! {
        <section class="block" aria-labelledby="runners-heading">
            <h2 class="section-heading" id="runners-heading">"Runners"</h2>
            <p class="field-hint">
                "Programs that work on runs, on this machine or on others. A token lets a runner claim "
                "what waits, of one workspace or of all, and work on it."
            </p>
            <NewToken kind=Kind::Runner changed>
                <Field id="runner-name" label="Which runner">
                    <input
                        class="input"
                        id="runner-name"
                        name="name"
                        required
                        maxlength="100"
                        autocomplete="off"
                        placeholder="build machine"
                    />
                </Field>
                <Field id="runner-workspace" label="Works for">
                    <select class="input" id="runner-workspace" name="workspace">
                        <option value="" selected>"All workspaces"</option>
                        <Transition>{choices}</Transition>
                    </select>
                </Field>
            </NewToken>
            <ul class="tokens">
                <Transition>{list}</Transition>
            </ul>
            <details class="hint">
                <summary>"Start a runner"</summary>
                <pre class="command" tabindex="0">
                    <code>
                        "membrane-runner --server-url http://127.0.0.1:3000 \\\n  \
                         --token-file <file-with-the-token>"
                    </code>
                </pre>
                <p class="field-hint">
                    "It calls the server, and needs no open port of its own. Who deletes its token ends "
                    "its work; what it had claimed goes to another."
                </p>
            </details>
        </section>
    }
    .into_any()
}

fn row(
    token: pb::RunnerToken,
    named: &HashMap<String, String>,
    changed: Callback<()>,
) -> impl IntoView + use<> {
    let workspace = match token.workspace_id.as_str() {
        "" => "all workspaces".to_owned(),
        id => named.get(id).cloned().unwrap_or_else(|| id.to_owned()),
    };
    let used = match token.last_use_time {
        Some(time) => view! { "last here " <Time time=Some(time) /> }.into_any(),
        None => "never here".into_any(),
    };
    view! {
        <TokenRow kind=Kind::Runner id=token.id name=token.name changed>
            {used} ", for " <bdi>{workspace}</bdi> ", made " <Time time=token.create_time />
        </TokenRow>
    }
}

async fn read() -> Result<pb::ListRunnerTokensResponse, ApiError> {
    let request = pb::ListRunnerTokensRequest {};
    Ok(api::runs().list_runner_tokens(request).await?.into_inner())
}

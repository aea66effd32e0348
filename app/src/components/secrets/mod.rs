//! The caller's secrets: stored, given new values, deleted; never shown.

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use super::{field::Field, from_terminal::FromTerminal, problem::InlineProblem};
use crate::{
    api::{self, ApiError},
    browser,
};

mod row;

use row::{Asked, SecretRow};

/// Values of fewer bytes are not masked, as the server says of each; line breaks do not count.
const MASKED_FROM: usize = 8;

type Secrets = Resource<api::Reply<pb::ListSecretsResponse>>;

/// All of them, and a form for another.
#[component]
pub fn SecretList() -> impl IntoView {
    let secrets: Secrets = Resource::new(|| (), |()| api::load(list()));
    let asked: Asked = RwSignal::new(None);
    let rows = move || {
        Suspend::new(async move {
            match secrets.await {
                Ok(stored) if stored.0.secrets.is_empty() => view! { <Empty /> }.into_any(),
                Ok(stored) => {
                    let rows = stored.0.secrets.into_iter();
                    let rows = rows.map(|secret| view! { <SecretRow secret secrets asked /> });
                    view! { <ul class="tokens">{rows.collect_view()}</ul> }.into_any()
                }
                Err(error) => view! { <p>{error.message}</p> }.into_any(),
            }
        })
    };
    view! {
        <section class="block" aria-labelledby="new-secret-heading">
            <h2 class="section-heading" id="new-secret-heading">"Store a secret"</h2>
            <p class="field-hint">
                "Secrets are yours alone. What is stored here is masked in all that agents say and print "
                "in workspaces in which you may work. API tokens are in your " <a href="/account">"account"</a>
                "."
            </p>
            <NewSecret secrets />
        </section>
        <section class="block" aria-labelledby="secrets-heading">
            <h2 class="section-heading" id="secrets-heading">"Your secrets"</h2>
            <Transition>{rows}</Transition>
        </section>
    }
    .into_any()
}

#[component]
fn NewSecret(secrets: Secrets) -> impl IntoView {
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let value = RwSignal::new(String::new());
    let submit = move |event: SubmitEvent| {
        let Some((form, data)) = browser::submitted(&event) else {
            return;
        };
        busy.set(true);
        error.set(None);
        let request = pb::CreateSecretRequest {
            name: browser::field(&data, "name").trim().to_owned(),
            // It leaves the page as soon as it is read.
            value: std::mem::take(&mut *value.write()),
            request_id: browser::request_id(),
        };
        spawn_local(async move {
            match api::secrets().create_secret(request).await {
                Ok(_) => {
                    form.reset();
                    secrets.refetch();
                }
                Err(status) => {
                    error.try_set(Some(status.into()));
                }
            }
            busy.try_set(false);
        });
    };
    view! {
        <form class="secret-form" on:submit=submit>
            <Field
                id="secret-name"
                label="Name"
                hint="Letters, digits, _ and -. It is what the secret will be called by."
            >
                <input
                    class="input mono"
                    id="secret-name"
                    name="name"
                    required
                    maxlength="64"
                    pattern="[A-Za-z0-9_\\-]+"
                    autocomplete="off"
                    spellcheck="false"
                    aria-describedby="secret-name-hint"
                    placeholder="registry-token"
                />
            </Field>
            <ValueField id="secret-value" value />
            <button type="submit" class="button primary" disabled=move || busy.get()>
                {move || if busy.get() { "Storing…" } else { "Store secret" }}
            </button>
        </form>
        <InlineProblem error />
    }
    .into_any()
}

/// Where a value is typed or pasted. Says when it is too short to be masked.
#[component]
fn ValueField(id: &'static str, value: RwSignal<String>) -> impl IntoView {
    let short = move || {
        let bytes =
            value.with(|value| value.bytes().filter(|byte| !b"\r\n".contains(byte)).count());
        (1..MASKED_FROM).contains(&bytes)
    };
    let hint = "It goes in and never comes out: nobody can read it here again.";
    view! {
        <Field id label="Value" hint>
            <textarea
                class="input mono secret-value"
                id=id
                required
                rows="2"
                maxlength="8192"
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                aria-describedby=format!("{id}-hint")
                placeholder="<your-secret>"
                prop:value=move || value.get()
                on:input=move |event| value.set(event_target_value(&event))
            ></textarea>
            <div aria-live="polite">
                {move || {
                    short()
                        .then(|| {
                            view! {
                                <p class="remark-line">
                                    "It has fewer than 8 characters, so it will not be masked: words "
                                    "that have nothing to do with it would be. Use a longer one if you can."
                                </p>
                            }
                        })
                }}
            </div>
        </Field>
    }
    .into_any()
}

/// Teaches what a secret is.
#[component]
fn Empty() -> impl IntoView {
    view! {
        <div class="empty small">
            <h3>"No secrets yet"</h3>
            <p>
                "Keep here what agents must not show: tokens, passwords, private keys. Each is "
                "encrypted with a key of your own. Where an agent says or prints one, in any of the "
                "usual encodings, people, the model and the server's log see [redacted]."
            </p>
            <FromTerminal
                method="SecretService/CreateSecret"
                request="{\"name\": \"registry-token\", \"value\": \"<your-secret>\"}"
            />
        </div>
    }
    .into_any()
}

async fn list() -> Result<pb::ListSecretsResponse, ApiError> {
    let request = pb::ListSecretsRequest {
        page_size: 200,
        ..Default::default()
    };
    Ok(api::secrets().list_secrets(request).await?.into_inner())
}

//! Tokens: made, shown once, listed, deleted.

pub mod runners;
pub mod scripts;

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;
use web_sys::FormData;

use super::{
    copy::CopyButton,
    icon::{Glyph, Icon},
    problem::InlineProblem,
};
use crate::{
    api::{self, ApiError},
    browser,
};

/// Whom a token lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Scripts, as the user who made it.
    Api,
    /// Runners.
    Runner,
}

impl Kind {
    /// Makes a token of what a form says. Answers its secret.
    async fn make(self, data: FormData) -> Result<String, ApiError> {
        let name = browser::field(&data, "name").trim().to_owned();
        match self {
            Self::Api => {
                let request = pb::CreateApiTokenRequest {
                    name,
                    lifetime_days: browser::field(&data, "lifetime").parse().unwrap_or(0),
                };
                let made = api::accounts().create_api_token(request).await?;
                Ok(made.into_inner().secret)
            }
            Self::Runner => {
                let request = pb::CreateRunnerTokenRequest {
                    name,
                    workspace_id: browser::field(&data, "workspace"),
                };
                let made = api::runs().create_runner_token(request).await?;
                Ok(made.into_inner().secret)
            }
        }
    }

    async fn delete(self, id: String) -> Result<(), ApiError> {
        match self {
            Self::Api => {
                let request = pb::DeleteApiTokenRequest { api_token_id: id };
                api::accounts().delete_api_token(request).await?;
            }
            Self::Runner => {
                let request = pb::DeleteRunnerTokenRequest {
                    runner_token_id: id,
                };
                api::runs().delete_runner_token(request).await?;
            }
        }
        Ok(())
    }
}

/// A form that makes a token, and shows its secret once.
#[component]
fn NewToken(
    /// Of which kind.
    kind: Kind,
    /// Reads the list again.
    changed: Callback<()>,
    /// The form's fields.
    children: Children,
) -> impl IntoView {
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
        spawn_local(async move {
            match kind.make(data).await {
                Ok(secret) => {
                    made.try_set(Some(secret));
                    form.reset();
                    changed.run(());
                }
                Err(problem) => {
                    error.try_set(Some(problem));
                }
            }
            busy.try_set(false);
        });
    };
    view! {
        <form class="token-form" on:submit=submit>
            {children()}
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

/// The rows of a list of tokens, or what stands for them.
fn rows<Token, Row: IntoView + 'static>(
    tokens: Result<Vec<Token>, ApiError>,
    row: impl Fn(Token) -> Row,
) -> AnyView {
    match tokens {
        Ok(tokens) if tokens.is_empty() => {
            view! { <li class="quiet">"No tokens yet."</li> }.into_any()
        }
        Ok(tokens) => tokens.into_iter().map(row).collect_view().into_any(),
        Err(error) => view! { <li>{error.message}</li> }.into_any(),
    }
}

/// A token in a list.
#[component]
fn TokenRow(
    /// Of which kind.
    kind: Kind,
    /// Its id.
    id: String,
    /// What it is called.
    name: String,
    /// Reads the list again.
    changed: Callback<()>,
    /// What is to be said of it.
    children: Children,
) -> impl IntoView {
    let asked = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let id = StoredValue::new(id);
    let delete = move |_| {
        if !asked.get_untracked() {
            return asked.set(true);
        }
        spawn_local(async move {
            match kind.delete(id.get_value()).await {
                Ok(()) => changed.run(()),
                Err(problem) => {
                    error.try_set(Some(problem));
                }
            }
        });
    };
    view! {
        <li class="token">
            <Glyph icon=Icon::Key />
            <span class="row-main">
                <span class="row-title"><bdi>{name}</bdi></span>
                <span class="choice-sub">{children()}</span>
            </span>
            <button type="button" class="button small danger" on:click=delete>
                {move || if asked.get() { "Really delete?" } else { "Delete" }}
            </button>
            <InlineProblem error />
        </li>
    }
    .into_any()
}

//! Settings: where the model is, which one, and how long it may think.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use super::field::Field;
use crate::words::{PROVIDERS, provider_explanation, provider_name, suggested_models};

/// The part of the form about the model.
#[component]
pub fn ModelFields(
    /// What is set now.
    settings: pb::WorkspaceSettings,
    /// The provider that is chosen on the page.
    provider: RwSignal<pb::Provider>,
) -> impl IntoView {
    let stored = settings.provider();
    let choices = PROVIDERS.map(|(choice, word)| {
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name="provider"
                    value=word
                    checked=choice == stored
                    on:change=move |_| provider.set(choice)
                />
                <span class="choice-words">
                    <span class="choice-title">{provider_name(choice)}</span>
                    <span class="choice-sub">{provider_explanation(choice)}</span>
                </span>
            </label>
        }
    });
    let custom = move || provider.get() == pb::Provider::Custom;
    let models = move || {
        let models = suggested_models(provider.get());
        models
            .iter()
            .map(|model| view! { <option value=*model></option> })
            .collect_view()
    };
    view! {
        <section class="block" aria-labelledby="model-heading">
            <h2 class="section-heading" id="model-heading">"Model"</h2>
            <fieldset class="fieldset">
                <legend class="field-label">"Provider"</legend>
                <div class="choices">{choices.collect_view()}</div>
            </fieldset>
            <div hidden=move || !custom()>
                <Field
                    id="base_url"
                    label="Base URL"
                    hint="Without /v1/messages. It must be reachable from the server."
                >
                    <input
                        class="input mono"
                        id="base_url"
                        name="base_url"
                        inputmode="url"
                        autocomplete="off"
                        placeholder="https://models.example.com"
                        value=settings.base_url
                        required=custom
                        aria-describedby="base_url-hint"
                    />
                </Field>
            </div>
            <Field id="model" label="Model" hint="As the provider spells it. Any name may be typed.">
                <input
                    class="input mono"
                    id="model"
                    name="model"
                    list="models"
                    maxlength="200"
                    autocomplete="off"
                    value=settings.model
                    aria-describedby="model-hint"
                />
                <datalist id="models">{models}</datalist>
            </Field>
            <Field
                id="thinking"
                label="Thinking budget"
                hint="Tokens per request: 0 for none, otherwise 1,024 to 64,000."
            >
                <input
                    class="input short"
                    id="thinking"
                    name="thinking"
                    type="number"
                    min="0"
                    max="64000"
                    value=settings.thinking_budget_tokens
                    aria-describedby="thinking-hint"
                />
            </Field>
        </section>
    }
    .into_any()
}

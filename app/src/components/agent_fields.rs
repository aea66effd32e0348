//! Settings: what the agent is told, what it may use, and when it has to ask.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use super::field::Field;
use crate::words::{PERMISSION_MODES, PROMPT_MODES, TOOLS, permission_mode};

/// The part of the form about the system prompt.
#[component]
pub fn InstructionFields(
    /// What is set now.
    settings: pb::WorkspaceSettings,
) -> impl IntoView {
    let stored = match settings.system_prompt_mode() {
        pb::SystemPromptMode::Unspecified => pb::SystemPromptMode::Default,
        mode => mode,
    };
    let own = RwSignal::new(stored != pb::SystemPromptMode::Default);
    let choices = PROMPT_MODES.map(|(mode, word, words)| {
        view! {
            <label class="choice compact">
                <input
                    type="radio"
                    name="prompt_mode"
                    value=word
                    checked=mode == stored
                    on:change=move |_| own.set(mode != pb::SystemPromptMode::Default)
                />
                <span class="choice-title">{words}</span>
            </label>
        }
    });
    view! {
        <section class="block" aria-labelledby="prompt-heading">
            <h2 class="section-heading" id="prompt-heading">"Instructions"</h2>
            <fieldset class="fieldset">
                <legend class="field-label">"The agent is told"</legend>
                <div class="choices three">{choices.collect_view()}</div>
            </fieldset>
            <div hidden=move || !own.get()>
                <Field
                    id="system_prompt"
                    label="Your instructions"
                    hint="Sent with every request: conventions, what to leave alone, how to test."
                >
                    <textarea
                        class="input mono"
                        id="system_prompt"
                        name="system_prompt"
                        rows="8"
                        maxlength="100000"
                        prop:value=settings.system_prompt
                        aria-describedby="system_prompt-hint"
                    ></textarea>
                </Field>
            </div>
        </section>
    }
    .into_any()
}

/// The part of the form about permissions.
#[component]
pub fn PermissionFields(
    /// What is set now.
    mode: pb::PermissionMode,
) -> impl IntoView {
    let stored = match mode {
        pb::PermissionMode::Unspecified => pb::PermissionMode::Default,
        mode => mode,
    };
    let choices = PERMISSION_MODES.map(|(mode, word)| {
        let (title, explanation) = permission_mode(mode);
        view! {
            <label class="choice">
                <input type="radio" name="permission_mode" value=word checked=mode == stored />
                <span class="choice-words">
                    <span class="choice-title">{title}</span>
                    <span class="choice-sub">{explanation}</span>
                </span>
            </label>
        }
    });
    view! {
        <section class="block" aria-labelledby="permission-heading">
            <h2 class="section-heading" id="permission-heading">"Permissions"</h2>
            <fieldset class="fieldset">
                <legend class="for-readers">"When the agent has to ask"</legend>
                <div class="choices one">{choices.collect_view()}</div>
            </fieldset>
        </section>
    }
    .into_any()
}

/// The part of the form about tools.
#[component]
pub fn ToolFields(
    /// Names of the tools that are allowed now.
    allowed: Vec<String>,
) -> impl IntoView {
    // What somebody allowed by other means stays allowed when this form is saved.
    let others: Vec<String> = allowed
        .iter()
        .filter(|name| TOOLS.iter().all(|(known, _)| known != name))
        .cloned()
        .collect();
    let known = TOOLS.map(|(name, explanation)| {
        tool(
            name.to_owned(),
            explanation,
            allowed.iter().any(|allowed| allowed == name),
        )
    });
    let others = others
        .into_iter()
        .map(|name| tool(name, "", true))
        .collect_view();
    view! {
        <section class="block" aria-labelledby="tools-heading">
            <h2 class="section-heading" id="tools-heading">"Tools"</h2>
            <fieldset class="fieldset">
                <legend class="field-hint">
                    "The agent is offered only these. One that is not ticked is never called."
                </legend>
                <div class="choices one tight">{known.collect_view()} {others}</div>
            </fieldset>
        </section>
    }
    .into_any()
}

fn tool(name: String, explanation: &'static str, checked: bool) -> impl IntoView {
    view! {
        <label class="choice line">
            <input type="checkbox" name="tool" value=name.clone() checked=checked />
            <span class="choice-title">{name}</span>
            <span class="choice-sub">{explanation}</span>
        </label>
    }
    .into_any()
}

//! Settings: what the commands of an agent may reach.

use leptos::prelude::*;
use membrane_proto::v1::{self as pb, EgressMode};

use super::field::Field;
use crate::egress::{self, MODES};

/// The part of the form about the network.
#[component]
pub fn EgressFields(
    /// What is set now.
    settings: pb::WorkspaceSettings,
    /// The named lists of hosts.
    presets: Vec<pb::EgressPreset>,
) -> impl IntoView {
    let stored = egress::mode_in(&settings);
    let policy = settings.egress.unwrap_or_default();
    let mode = RwSignal::new(stored);
    let choices = MODES.map(|(offered, word, title, explanation)| {
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name="egress_mode"
                    value=word
                    checked=offered == stored
                    on:change=move |_| mode.set(offered)
                />
                <span class="choice-words">
                    <span class="choice-title">{title}</span>
                    <span class="choice-sub">{explanation}</span>
                </span>
            </label>
        }
    });
    let presets = presets
        .into_iter()
        .map(|preset| {
            let chosen = policy.presets.contains(&preset.name);
            one(preset, chosen)
        })
        .collect_view();
    view! {
        <section class="block" aria-labelledby="network">
            <h2 class="section-heading" id="network">"Network"</h2>
            <fieldset class="fieldset">
                <legend class="field-hint">
                    "What the agent's commands may reach. The agent's own requests to its model are not affected."
                </legend>
                <div class="choices one">{choices.collect_view()}</div>
            </fieldset>
            <div class="form" hidden=move || mode.get() != EgressMode::Listed>
                <fieldset class="fieldset">
                    <legend class="field-label">"Well-known places"</legend>
                    <div class="choices one tight">{presets}</div>
                </fieldset>
                <Field
                    id="egress_hosts"
                    label="Other hosts, one a line"
                    hint="example.com, or *.example.com for every name below it. Ports 80 and 443, unless you write another one: example.com:8443."
                >
                    <textarea
                        class="input mono"
                        id="egress_hosts"
                        name="egress_hosts"
                        rows="5"
                        spellcheck="false"
                        autocapitalize="none"
                        prop:value=policy.hosts.join("\n")
                        aria-describedby="egress_hosts-hint"
                    ></textarea>
                </Field>
            </div>
        </section>
    }
    .into_any()
}

fn one(preset: pb::EgressPreset, chosen: bool) -> impl IntoView {
    let hosts = preset.hosts.join(", ");
    view! {
        <label class="choice line" title=hosts>
            <input type="checkbox" name="egress_preset" value=preset.name checked=chosen />
            <span class="choice-title">{preset.title}</span>
            <span class="choice-sub">{preset.purpose}</span>
        </label>
    }
    .into_any()
}

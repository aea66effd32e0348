//! What is left to do before an agent can work in a new workspace.

use leptos::prelude::*;
use leptos_router::components::A;
use membrane_proto::v1 as pb;

use super::icon::{Glyph, Icon};
use crate::words::provider_name;

/// The checklist; nothing once everything on it is done.
#[component]
pub fn FirstSteps(
    /// The workspace.
    workspace: pb::Workspace,
    /// Which keys are stored.
    keys: Vec<pb::ProviderKey>,
) -> impl IntoView {
    let provider = workspace
        .settings
        .as_ref()
        .map(pb::WorkspaceSettings::provider);
    let provider = provider.unwrap_or(pb::Provider::Unspecified);
    let demo = provider == pb::Provider::Demo;
    let has_key = keys.iter().any(|key| key.provider() == provider);
    let ready = demo || has_key;
    let spoke = workspace.session_count > 0;
    if ready && spoke {
        return ().into_any();
    }
    let settings = format!("/workspaces/{}/settings", workspace.id);
    let model = if demo {
        "The demo provider is on: a script, not a model. It needs no key.".to_owned()
    } else if has_key {
        format!("A key for {} is stored.", provider_name(provider))
    } else {
        format!(
            "{} needs a key, or choose the demo provider.",
            provider_name(provider)
        )
    };
    view! {
        <section class="steps" aria-labelledby="steps-heading">
            <h2 class="section-heading" id="steps-heading">"First steps"</h2>
            <ol class="steps-list">
                <Step done=true title="Create a workspace" text="Done: this is it.".to_owned() />
                <Step done=ready title="Choose where the model is" text=model>
                    <A href=settings attr:class="button small">
                        {if ready { "Change" } else { "Open settings" }}
                    </A>
                </Step>
                <Step
                    done=spoke
                    title="Send a message"
                    text="Say above what to do. You see every step, and are asked before anything is changed."
                        .to_owned()
                />
            </ol>
        </section>
    }
    .into_any()
}

#[component]
fn Step(
    done: bool,
    title: &'static str,
    text: String,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    let icon = if done { Icon::Check } else { Icon::Circle };
    view! {
        <li class="step" class:done=done>
            <span class="step-mark"><Glyph icon /></span>
            <span class="step-words">
                <span class="step-title">
                    {title} <span class="for-readers">{if done { " (done)" } else { " (to do)" }}</span>
                </span>
                <span class="step-sub">{text}</span>
            </span>
            {children.map(|children| children())}
        </li>
    }
    .into_any()
}

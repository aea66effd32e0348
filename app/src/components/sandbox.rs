//! What the sandbox gives on this server: a line in the rail, and a bar over every page when an
//! agent is not, or can't be, contained.

use leptos::prelude::*;
use membrane_proto::v1::{self as pb, GetMeResponse, SandboxState};

use super::icon::{Glyph, Icon};
use crate::egress;

/// The line in the rail.
#[component]
pub fn SandboxLine(
    /// What the server said.
    me: GetMeResponse,
) -> impl IntoView {
    let (class, text) = match me.sandbox_state() {
        SandboxState::Enforced => ("good", "Sandbox enforced"),
        SandboxState::Disabled => ("bad", "Sandbox off"),
        SandboxState::Unavailable => ("bad", "No sandbox"),
        SandboxState::Unspecified => ("", "Sandbox unknown"),
    };
    view! {
        <span class=format!("status-line {class}")>
            <Glyph icon=Icon::Shield />
            {text}
        </span>
    }
    .into_any()
}

/// What the commands of a workspace's agents may reach, beside what contains them.
#[component]
pub fn NetworkLine(
    /// The workspace.
    workspace: pb::Workspace,
) -> impl IntoView {
    let words = egress::in_words(&workspace.settings.unwrap_or_default());
    let href = format!("/workspaces/{}/activity", workspace.id);
    view! {
        <a class="status-line" href=href>
            <Glyph icon=Icon::Globe />
            {words}
        </a>
    }
    .into_any()
}

/// The bar over every page; nothing when the sandbox is enforced.
#[component]
pub fn SandboxBar(
    /// What the server said.
    me: GetMeResponse,
) -> impl IntoView {
    let text = match me.sandbox_state() {
        SandboxState::Disabled => {
            "The operator turned the sandbox off: agents run with the rights of the server. "
        }
        SandboxState::Unavailable => {
            "No sandbox can be had on this host, so agents are not started. `membrane doctor` explains. "
        }
        SandboxState::Enforced | SandboxState::Unspecified => return ().into_any(),
    };
    view! {
        <div class="bar bad" role="status">
            <Glyph icon=Icon::Shield />
            <span>{text} {me.sandbox_message}</span>
        </div>
    }
    .into_any()
}

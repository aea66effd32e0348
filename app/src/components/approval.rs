//! A question from the agent: may this tool call run? Nothing happens until somebody answers.

use leptos::{ev::KeyboardEvent, html, prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use super::{
    icon::{Glyph, Icon},
    problem::InlineProblem,
};
use crate::{
    api::{self, ApiError},
    browser,
    context::SessionScope,
    format,
    tool_input::ToolInput,
    transcript::Tool,
};

/// The card with both answers. With the focus inside, A allows and D goes to the denial.
#[component]
pub fn Approval(
    /// The call that waits.
    tool: Tool,
) -> impl IntoView {
    let scope = expect_context::<SessionScope>();
    let permission = tool.permission.unwrap_or_default();
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let reason = NodeRef::<html::Input>::new();
    let card = NodeRef::<html::Div>::new();
    let request_id = StoredValue::new(permission.request_id);
    let answer = move |decision: pb::PermissionDecision| {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        error.set(None);
        let words = reason
            .get_untracked()
            .map(|input| input.value())
            .unwrap_or_default();
        spawn_local(async move {
            let request = pb::ResolvePermissionRequest {
                session_id: scope.session_id.get_value(),
                permission_request_id: request_id.get_value(),
                decision: decision.into(),
                reason: if decision == pb::PermissionDecision::Deny {
                    words
                } else {
                    String::new()
                },
            };
            if let Err(status) = api::sessions().resolve_permission(request).await {
                busy.try_set(false);
                error.try_set(Some(status.into()));
            }
        });
    };
    let on_key = move |event: KeyboardEvent| keys(&event, reason, answer);
    focus_if_free(card);
    let about = question(&tool.name, &tool.input);
    view! {
        <div
            class="approval"
            role="group"
            aria-label="Permission"
            tabindex="-1"
            node_ref=card
            on:keydown=on_key
        >
            <p class="approval-question">
                <Glyph icon=Icon::Shield />
                <span>
                    <strong>{about}</strong>
                    " "
                    <span class="quiet">{permission.explanation}</span>
                </span>
            </p>
            <div class="approval-answers">
                <button
                    type="button"
                    class="button primary"
                    disabled=move || busy.get()
                    on:click=move |_| answer(pb::PermissionDecision::Allow)
                >
                    "Allow once"
                    <kbd>"A"</kbd>
                </button>
                <input
                    class="input approval-reason"
                    aria-label="What to tell the agent when denying"
                    placeholder="Why not? (optional)"
                    maxlength="2000"
                    node_ref=reason
                />
                <button
                    type="button"
                    class="button"
                    disabled=move || busy.get()
                    on:click=move |_| answer(pb::PermissionDecision::Deny)
                >
                    "Deny"
                    <kbd>"D"</kbd>
                </button>
            </div>
            <InlineProblem error />
        </div>
    }
    .into_any()
}

fn question(tool: &str, input: &str) -> String {
    let path = ToolInput::new(input).text("file_path").unwrap_or_default();
    let file = format::path(&path);
    match tool {
        "Bash" => "May the agent run this command?".to_owned(),
        "Write" => format!("May the agent write {file}?"),
        "Edit" => format!("May the agent change {file}?"),
        tool => format!("May the agent use {tool}?"),
    }
}

fn keys(
    event: &KeyboardEvent,
    reason: NodeRef<html::Input>,
    answer: impl Fn(pb::PermissionDecision),
) {
    let writing = browser::target::<web_sys::HtmlInputElement>(event).is_some();
    match event.key().as_str() {
        "Enter" if writing => {
            event.prevent_default();
            answer(pb::PermissionDecision::Deny);
        }
        _ if writing || event.ctrl_key() || event.meta_key() || event.alt_key() => {}
        "a" | "A" => answer(pb::PermissionDecision::Allow),
        "d" | "D" => {
            event.prevent_default();
            if let Some(input) = reason.get_untracked() {
                let _ = input.focus();
            }
        }
        _ => {}
    }
}

/// Takes the focus when nobody is using it for anything else, so that A and D work at once. The
/// card takes it and not the button: a key that was meant for something else must allow nothing.
fn focus_if_free(card: NodeRef<html::Div>) {
    Effect::new(move || {
        let Some(card) = card.get() else { return };
        let free = document()
            .active_element()
            .is_none_or(|active| active.tag_name() == "BODY");
        if free {
            let options = web_sys::FocusOptions::new();
            options.set_prevent_scroll(true);
            let _ = card.focus_with_options(&options);
        }
    });
}

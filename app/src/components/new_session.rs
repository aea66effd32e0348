//! Where a conversation begins: say what to do, and a session starts with it.

use leptos::{ev::KeyboardEvent, html, prelude::*, task::spawn_local};
use leptos_router::hooks::{use_location, use_navigate};
use membrane_proto::v1 as pb;

use super::{
    composer::{
        chips::{self, AttachButton, Chips},
        mentions::{MentionList, Mentions},
    },
    icon::{Glyph, Icon},
    problem::InlineProblem,
};
use crate::{
    api::{self, ApiError},
    browser,
    files::Attachments,
};

/// The box.
#[component]
pub fn NewSession(
    /// The workspace.
    workspace_id: String,
    /// What the caller may do in it.
    role: pb::Role,
) -> impl IntoView {
    if role == pb::Role::Viewer {
        return view! { <p class="quiet">"You may read here. Ask an owner to start sessions."</p> }
            .into_any();
    }
    let text = NodeRef::<html::Textarea>::new();
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let navigate = use_navigate();
    let mentions = Mentions::new(workspace_id.clone(), text);
    let attachments = Attachments::new(workspace_id.clone());
    let over = chips::take_drops(attachments);
    // An address may lead into the box.
    let hash = use_location().hash;
    Effect::new(move || {
        if let (Some(text), "#begin-text") = (text.get(), hash.get().as_str()) {
            let _ = text.focus();
        }
    });
    let workspace_id = StoredValue::new(workspace_id);
    let start = move || {
        let Some(attachment_paths) = attachments.paths() else {
            return;
        };
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        error.set(None);
        let words = text
            .get_untracked()
            .map(|text| text.value())
            .unwrap_or_default();
        let navigate = navigate.clone();
        spawn_local(async move {
            let workspace = workspace_id.get_value();
            let words = words.trim().to_owned();
            match begin(workspace.clone(), words, attachment_paths).await {
                Ok(id) => {
                    let page = format!("/workspaces/{workspace}/sessions/{id}");
                    navigate(&page, Default::default());
                }
                Err(problem) => error.set(Some(problem)),
            }
            busy.set(false);
        });
    };
    // Not a local stored value: a page may end on another thread than it began on.
    let start_by_key = start.clone();
    let on_key = move |event: KeyboardEvent| {
        if mentions.key(&event) {
            return;
        }
        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
            event.prevent_default();
            start_by_key();
        }
    };
    view! {
        <section class="begin" class:drop-here=move || over.get() aria-label="New session">
            <label class="for-readers" for="begin-text">"What should the agent do?"</label>
            <textarea
                class="begin-text"
                id="begin-text"
                rows="2"
                maxlength="200000"
                placeholder="What should the agent do?"
                aria-autocomplete="list"
                aria-controls=move || mentions.active_id().map(|_| "mentions")
                aria-activedescendant=move || mentions.active_id()
                node_ref=text
                on:input=move |_| mentions.note()
                on:click=move |_| mentions.note()
                on:blur=move |_| mentions.leave()
                on:paste=move |event| chips::paste(attachments, &event)
                on:keydown=on_key
            ></textarea>
            <MentionList mentions />
            <Chips attachments />
            <p class="drop-words" aria-hidden="true">"Drop to attach"</p>
            <div class="begin-foot">
                <AttachButton attachments />
                <span class="begin-hint quiet small-text" aria-live="polite">
                    {move || {
                        attachments
                            .hindrance()
                            .unwrap_or("Enter starts a session, Shift-Enter makes a new line, @ names a file.")
                    }}
                </span>
                <button
                    type="button"
                    class="button primary"
                    disabled=move || busy.get() || attachments.hindrance().is_some()
                    on:click=move |_| start()
                >
                    <Glyph icon=Icon::Plus />
                    {move || if busy.get() { "Starting…" } else { "New session" }}
                </button>
            </div>
            <InlineProblem error />
        </section>
    }
    .into_any()
}

/// Makes a session, and says the first thing in it if there is one.
async fn begin(
    workspace_id: String,
    text: String,
    attachment_paths: Vec<String>,
) -> Result<String, ApiError> {
    let request_id = browser::request_id();
    let request = pb::CreateSessionRequest {
        workspace_id,
        title: String::new(),
        request_id,
    };
    let answer = api::sessions().create_session(request).await?.into_inner();
    let session_id = answer.session.ok_or_else(ApiError::incomplete)?.id;
    if !text.is_empty() {
        let request_id = browser::request_id();
        let request = pb::SendMessageRequest {
            session_id: session_id.clone(),
            text,
            request_id,
            attachment_paths,
        };
        api::sessions().send_message(request).await?;
    }
    Ok(session_id)
}

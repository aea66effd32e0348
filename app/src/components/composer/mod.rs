//! Where a person writes to the agent, and stops it.

use std::time::Duration;

use leptos::{ev::KeyboardEvent, html, prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use self::chips::{AttachButton, Chips};
use super::{
    icon::{Glyph, Icon},
    problem::InlineProblem,
};
use crate::{
    api::{self, ApiError},
    browser,
    context::SessionScope,
    files::Attachments,
    live::Feed,
    transcript::Activity,
    words,
};

pub mod chips;
pub mod mentions;

use mentions::{MentionList, Mentions};

/// How long the question "really stop?" stands.
const ASKING: Duration = Duration::from_secs(4);

/// What the composer is doing. Copied into its handlers.
#[derive(Clone, Copy)]
struct Composer {
    scope: SessionScope,
    feed: Feed,
    text: NodeRef<html::Textarea>,
    mentions: Mentions,
    attachments: Attachments,
    empty: RwSignal<bool>,
    sending: RwSignal<bool>,
    stopping: RwSignal<bool>,
    asking: RwSignal<bool>,
    error: RwSignal<Option<ApiError>>,
    /// Of the message that is being written: one that is sent twice counts once.
    request_id: StoredValue<Option<String>>,
}

/// The box with its buttons.
#[component]
pub fn ComposerBox(
    /// The session.
    feed: Feed,
    /// How the agent works in this workspace.
    settings: pb::WorkspaceSettings,
    /// What the caller may do in it.
    role: pb::Role,
) -> impl IntoView {
    let workspace_id = feed
        .session
        .with_untracked(|session| session.workspace_id.clone());
    let text = NodeRef::new();
    let composer = Composer {
        scope: expect_context(),
        feed,
        text,
        mentions: Mentions::new(workspace_id.clone(), text),
        attachments: Attachments::new(workspace_id),
        empty: RwSignal::new(true),
        sending: RwSignal::new(false),
        stopping: RwSignal::new(false),
        asking: RwSignal::new(false),
        error: RwSignal::new(None),
        request_id: StoredValue::new(None),
    };
    if role == pb::Role::Viewer {
        return view! { <p class="quiet composer-note">"You may read this session. Ask an owner to take part."</p> }
            .into_any();
    }
    composer.listen();
    let (mentions, attachments) = (composer.mentions, composer.attachments);
    let over = chips::take_drops(attachments);
    let idle = move || feed.activity.get() == Activity::Idle;
    view! {
        <div class="composer" class:busy=move || !idle() class:drop-here=move || over.get()>
            <MentionList mentions />
            <label class="for-readers" for="message">"Message to the agent"</label>
            <textarea
                class="composer-text"
                id="message"
                rows="1"
                maxlength="200000"
                placeholder="Say what to do; @ names a file"
                aria-describedby="composer-state"
                aria-autocomplete="list"
                aria-controls=move || mentions.active_id().map(|_| "mentions")
                aria-activedescendant=move || mentions.active_id()
                node_ref=composer.text
                on:input=move |_| composer.note_text()
                on:click=move |_| mentions.note()
                on:blur=move |_| mentions.leave()
                on:paste=move |event| chips::paste(attachments, &event)
                on:keydown=move |event| composer.key(&event)
            ></textarea>
            <Chips attachments />
            <p class="drop-words" aria-hidden="true">"Drop to attach"</p>
            <div class="composer-foot">
                <AttachButton attachments />
                <Facts settings />
                <span class="composer-state" id="composer-state" aria-live="polite">{move || composer.reason()}</span>
                <Buttons composer />
            </div>
        </div>
        <InlineProblem error=composer.error />
    }
    .into_any()
}

#[component]
fn Facts(settings: pb::WorkspaceSettings) -> impl IntoView {
    let (mode, explanation) = words::permission_mode(settings.permission_mode());
    let model = match settings.provider() {
        pb::Provider::Demo => "Scripted, not a model".to_owned(),
        provider if settings.model.is_empty() => words::provider_name(provider).to_owned(),
        _ => settings.model,
    };
    view! {
        <span class="fact" title="Model">{model}</span>
        <span class="fact" title=explanation>{mode}</span>
    }
    .into_any()
}

#[component]
fn Buttons(composer: Composer) -> impl IntoView {
    let idle = move || composer.feed.activity.get() == Activity::Idle;
    let held = move || composer.attachments.hindrance().is_some();
    let stop = move || {
        (!idle()).then(|| {
            view! {
                <button
                    type="button"
                    class="button stop"
                    disabled=move || composer.stopping.get()
                    on:click=move |_| composer.stop()
                >
                    <Glyph icon=Icon::Stop />
                    "Stop"
                </button>
            }
        })
    };
    view! {
        {stop}
        <button
            type="button"
            class="button primary send"
            aria-label="Send"
            title="Send (Enter)"
            disabled=move || !idle() || composer.empty.get() || composer.sending.get() || held()
            on:click=move |_| composer.send()
        >
            <Glyph icon=Icon::ArrowUp />
        </button>
    }
    .into_any()
}

impl Composer {
    /// Escape anywhere on the page stops the agent, after asking once. What was typed before the
    /// page came to life counts as well.
    fn listen(self) {
        Effect::new(move || {
            if self.text.get().is_some() {
                self.note_text();
            }
        });
        Effect::new(move || {
            let handle = window_event_listener(leptos::ev::keydown, move |event| {
                let busy = self.feed.activity.get_untracked() != Activity::Idle;
                if event.key() == "Escape" && busy && !event.default_prevented() {
                    self.escape();
                }
            });
            on_cleanup(move || handle.remove());
        });
    }

    fn value(self) -> String {
        self.text
            .get_untracked()
            .map(|text| text.value())
            .unwrap_or_default()
    }

    fn note_text(self) {
        self.mentions.note();
        self.empty.set(self.value().trim().is_empty());
        self.request_id.set_value(None);
    }

    fn key(self, event: &KeyboardEvent) {
        if self.mentions.key(event) {
            return;
        }
        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
            event.prevent_default();
            self.send();
        }
    }

    /// Why nothing can be sent, or what the next Escape does.
    fn reason(self) -> String {
        let words = match self.feed.activity.get() {
            _ if self.stopping.get() => "Stopping…",
            _ if self.asking.get() => "Press Esc again to stop",
            Activity::Idle if self.sending.get() => "Sending…",
            Activity::Idle => self.attachments.hindrance().unwrap_or_default(),
            Activity::Queued => "Queued behind another turn",
            Activity::Running => "At work: send when it is done",
            Activity::Waiting => "Waiting for your answer above",
        };
        words.to_owned()
    }

    fn send(self) {
        let text = self.value().trim().to_owned();
        let idle = self.feed.activity.get_untracked() == Activity::Idle;
        let Some(attachment_paths) = self.attachments.paths() else {
            return;
        };
        if text.is_empty() || !idle || self.sending.get_untracked() {
            return;
        }
        self.sending.set(true);
        self.error.set(None);
        let request_id = self
            .request_id
            .get_value()
            .unwrap_or_else(browser::request_id);
        self.request_id.set_value(Some(request_id.clone()));
        spawn_local(async move {
            let session_id = self.scope.session_id.get_value();
            let request = pb::SendMessageRequest {
                session_id,
                text,
                request_id,
                attachment_paths,
            };
            match api::sessions().send_message(request).await {
                Ok(_) => self.clear(),
                // The text stays where it is.
                Err(status) => {
                    self.error.try_set(Some(status.into()));
                }
            }
            self.sending.try_set(false);
        });
    }

    fn clear(self) {
        self.attachments.clear();
        if let Some(Some(text)) = self.text.try_get_untracked() {
            text.set_value("");
            self.note_text();
        }
    }

    fn escape(self) {
        if self.asking.get_untracked() {
            return self.stop();
        }
        self.asking.set(true);
        set_timeout(
            move || {
                self.asking.try_set(false);
            },
            ASKING,
        );
    }

    fn stop(self) {
        if self.stopping.get_untracked() {
            return;
        }
        self.asking.set(false);
        self.stopping.set(true);
        self.error.set(None);
        spawn_local(async move {
            let session_id = self.scope.session_id.get_value();
            let request = pb::InterruptSessionRequest { session_id };
            if let Err(status) = api::sessions().interrupt_session(request).await {
                self.error.try_set(Some(status.into()));
            }
            self.stopping.try_set(false);
        });
    }
}

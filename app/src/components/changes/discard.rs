//! Puts changes back as they were before, after asking once in place.

use leptos::{ev::KeyboardEvent, html, prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use super::review::{Outcome, Review};
use crate::{
    api::{self, ApiError},
    components::icon::{Glyph, Icon},
};

/// What is to be put back.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The file; all of the scope if none.
    pub path: Option<String>,
    /// Its etag, so that nobody discards what they have not seen.
    pub etag: String,
    /// One hunk of it.
    pub hunk: Option<String>,
}

/// A button that asks and then discards.
#[component]
pub fn Discard(
    /// The review.
    review: Review,
    /// What to put back.
    target: Target,
    /// What the button says.
    label: &'static str,
    /// What is asked.
    #[prop(into)]
    question: String,
) -> impl IntoView {
    let asked = RwSignal::new(false);
    let busy = RwSignal::new(false);
    let yes = NodeRef::<html::Button>::new();
    let first = NodeRef::<html::Button>::new();
    let (question, target) = (StoredValue::new(question), StoredValue::new(target));
    Effect::new(move || {
        if let Some(button) = yes.get() {
            let _ = button.focus();
        }
    });
    let keep = move || {
        asked.set(false);
        request_animation_frame(move || {
            if let Some(button) = first.get_untracked() {
                let _ = button.focus();
            }
        });
    };
    let leave = move |event: KeyboardEvent| {
        if event.key() == "Escape" {
            event.prevent_default();
            keep();
        }
    };
    let go = move |_| {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        spawn_local(async move {
            let outcome = match discard(review, target.get_value()).await {
                Ok(answer) => Outcome::Done(answer),
                Err(error) => Outcome::Refused(error),
            };
            busy.try_set(false);
            asked.try_set(false);
            review.settle(outcome);
        });
    };
    let ask = move || {
        view! {
            <button
                type="button"
                class="button small discard-button"
                node_ref=first
                on:click=move |_| asked.set(true)
            >
                <Glyph icon=Icon::Undo />
                {label}
            </button>
        }
    };
    view! {
        <span class="discard">
            <Show when=move || asked.get() fallback=ask>
                <span class="discard-asked" role="group" aria-label=question.get_value() on:keydown=leave>
                    <span class="discard-question">{question.get_value()}</span>
                    <button
                        type="button"
                        class="button small danger"
                        node_ref=yes
                        aria-disabled=move || busy.get().then_some("true")
                        on:click=go
                    >
                        {move || if busy.get() { "Discarding…" } else { "Discard" }}
                    </button>
                    <button type="button" class="button small" on:click=move |_| keep()>
                        "Keep"
                    </button>
                </span>
            </Show>
        </span>
    }
    .into_any()
}

async fn discard(review: Review, target: Target) -> Result<pb::DiscardChangesResponse, ApiError> {
    let address = review
        .address
        .get_untracked()
        .ok_or_else(ApiError::incomplete)?;
    let request = pb::DiscardChangesRequest {
        workspace_id: address.workspace_id,
        scope: Some(address.scope.to_wire()),
        paths: target.path.into_iter().collect(),
        context_lines: if target.hunk.is_some() {
            address.around.lines()
        } else {
            0
        },
        hunk_ids: target.hunk.into_iter().collect(),
        etag: target.etag,
    };
    Ok(api::changes().discard_changes(request).await?.into_inner())
}

//! Settings: the end of a workspace, behind its typed name.

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use leptos_router::hooks::use_navigate;
use membrane_proto::v1 as pb;

use super::problem::InlineProblem;
use crate::api::{self, ApiError};

/// Deletes the workspace once its name has been typed.
#[component]
pub fn DangerZone(
    /// The workspace.
    workspace_id: String,
    /// Its name, to be typed.
    name: String,
) -> impl IntoView {
    let typed = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let navigate = use_navigate();
    let expected = name.clone();
    let matches = Memo::new(move |_| typed.read().trim() == expected);
    let id = StoredValue::new(workspace_id);
    let delete = move |event: SubmitEvent| {
        event.prevent_default();
        if !matches.get_untracked() || busy.get_untracked() {
            return;
        }
        busy.set(true);
        error.set(None);
        let navigate = navigate.clone();
        spawn_local(async move {
            let request = pb::DeleteWorkspaceRequest {
                workspace_id: id.get_value(),
                etag: String::new(),
            };
            match api::workspaces().delete_workspace(request).await {
                Ok(_) => navigate("/", Default::default()),
                Err(status) => {
                    error.try_set(Some(status.into()));
                    busy.try_set(false);
                }
            }
        });
    };
    view! {
        <section class="block danger-zone" aria-labelledby="danger-heading">
            <h2 class="section-heading" id="danger-heading">"Delete this workspace"</h2>
            <p>
                "Its files, sessions, history and keys are deleted at once, and running turns are "
                "stopped. This can not be undone."
            </p>
            <form class="danger-form" on:submit=delete>
                <label for="danger-name">"Type " <strong>{name}</strong> " to confirm"</label>
                <div class="danger-controls">
                    <input
                        class="input"
                        id="danger-name"
                        autocomplete="off"
                        on:input=move |event| typed.set(event_target_value(&event))
                    />
                    <button
                        type="submit"
                        class="button danger"
                        disabled=move || !matches.get() || busy.get()
                    >
                        {move || if busy.get() { "Deleting…" } else { "Delete workspace" }}
                    </button>
                </div>
            </form>
            <InlineProblem error />
        </section>
    }
    .into_any()
}

//! A form that queues a run.

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use membrane_proto::v1 as pb;

use crate::{
    api::{self, ApiError},
    browser,
    components::{
        icon::{Glyph, Icon},
        problem::InlineProblem,
    },
};

/// The form.
#[component]
pub(super) fn Queue(workspace_id: String) -> impl IntoView {
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let workspace_id = StoredValue::new(workspace_id);
    let navigate = use_navigate();
    let submit = move |event: SubmitEvent| {
        let Some((_, data)) = browser::submitted(&event) else {
            return;
        };
        busy.set(true);
        error.set(None);
        let request = request(workspace_id.get_value(), &data);
        let navigate = navigate.clone();
        spawn_local(async move {
            match queue(request).await {
                Ok(run) => {
                    let address = format!("/workspaces/{}/runs/{}", run.workspace_id, run.id);
                    navigate(&address, NavigateOptions::default());
                }
                Err(problem) => {
                    error.try_set(Some(problem));
                }
            }
            busy.try_set(false);
        });
    };
    view! {
        <form class="block run-form" on:submit=submit aria-label="New run">
            <label class="for-readers" for="run-prompt">"What is to be done?"</label>
            <textarea
                class="input"
                id="run-prompt"
                name="prompt"
                rows="3"
                required
                maxlength="200000"
                placeholder="What is to be done?"
            ></textarea>
            <div class="run-foot">
                <label class="check">
                    <input type="checkbox" name="applies" value="yes" checked=true />
                    "Apply what it makes if nothing has changed here"
                </label>
                <button type="submit" class="button primary" disabled=move || busy.get()>
                    <Glyph icon=Icon::Plus />
                    {move || if busy.get() { "Queueing…" } else { "Queue run" }}
                </button>
            </div>
            <InlineProblem error />
        </form>
    }
    .into_any()
}

fn request(workspace_id: String, data: &web_sys::FormData) -> pb::CreateRunRequest {
    let mode = match browser::field(data, "applies").as_str() {
        "" => pb::ApplyMode::Manual,
        _ => pb::ApplyMode::IfUnchanged,
    };
    pb::CreateRunRequest {
        workspace_id,
        spec: Some(pb::RunSpec {
            prompt: browser::field(data, "prompt"),
            apply_mode: mode.into(),
            ..Default::default()
        }),
        title: String::new(),
        request_id: browser::request_id(),
    }
}

async fn queue(request: pb::CreateRunRequest) -> Result<pb::Run, ApiError> {
    let answer = api::runs().create_run(request).await?.into_inner();
    answer.run.ok_or_else(ApiError::incomplete)
}

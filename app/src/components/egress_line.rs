//! A connection that was refused, in a transcript, and the way to allow its host from now on.

use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1::{self as pb, EgressMode, EgressVerdict};
use prost_types::FieldMask;

use super::{
    icon::{Glyph, Icon},
    problem::InlineProblem,
};
use crate::{
    api::{self, ApiError},
    context::Place,
    egress,
};

/// The line.
#[component]
pub fn EgressLine(
    /// What was decided.
    decision: pb::EgressDecision,
) -> impl IntoView {
    let class = match decision.verdict() {
        EgressVerdict::NotListed => "remark-line wait egress-line",
        _ => "remark-line bad egress-line",
    };
    let listed = decision.verdict() == EgressVerdict::NotListed;
    let pattern = egress::pattern(&decision);
    view! {
        <div class=class>
            <Glyph icon=Icon::Globe />
            <div>
                <p>"A command was refused a connection. " <bdi>{decision.message}</bdi></p>
                {listed.then(|| view! { <Allow pattern /> })}
            </div>
        </div>
    }
    .into_any()
}

/// The button, for who may change settings; what has come of it, for all.
#[component]
fn Allow(
    /// The host as a list names it.
    pattern: String,
) -> impl IntoView {
    let place = expect_context::<Place>();
    let pattern = StoredValue::new(pattern);
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let allow = move |_| {
        let Some(workspace_id) = place.workspace_id.get_untracked() else {
            return;
        };
        busy.set(true);
        error.set(None);
        spawn_local(async move {
            let allowed = allow(workspace_id, pattern.get_value()).await;
            busy.try_set(false);
            match allowed {
                Ok(()) => place.workspace.refetch(),
                Err(problem) => drop(error.try_set(Some(problem))),
            }
        });
    };
    let state = move || {
        Suspend::new(async move {
            let workspace = place.workspace.await?.ok()?.0;
            let settings = workspace.settings.clone().unwrap_or_default();
            let hosts = settings.egress.as_ref().map(|policy| &policy.hosts);
            if hosts.is_some_and(|hosts| pattern.with_value(|pattern| hosts.contains(pattern))) {
                let words = "It is on the list now, and reached from the next message on.";
                return Some(view! { <p class="quiet" role="status">{words}</p> }.into_any());
            }
            let may = workspace.role() != pb::Role::Viewer;
            let useful = egress::mode_in(&settings) == EgressMode::Listed;
            (may && useful).then(|| {
                view! {
                    <button
                        type="button"
                        class="button small needs-script"
                        disabled=move || busy.get()
                        on:click=allow
                    >
                        <Glyph icon=Icon::Plus />
                        "Allow this host"
                    </button>
                }
                .into_any()
            })
        })
    };
    view! {
        <Transition>{state}</Transition>
        <InlineProblem error />
    }
    .into_any()
}

/// Adds a host to the workspace's list, as it is now.
async fn allow(workspace_id: String, pattern: String) -> Result<(), ApiError> {
    let request = pb::GetWorkspaceRequest { workspace_id };
    let answer = api::workspaces().get_workspace(request).await?.into_inner();
    let workspace = answer.workspace.ok_or_else(ApiError::incomplete)?;
    let mut policy = workspace
        .settings
        .and_then(|settings| settings.egress)
        .unwrap_or_default();
    if policy.hosts.contains(&pattern) {
        return Ok(());
    }
    policy.hosts.push(pattern);
    let request = pb::UpdateWorkspaceRequest {
        workspace: Some(pb::Workspace {
            id: workspace.id,
            settings: Some(pb::WorkspaceSettings {
                egress: Some(policy),
                ..Default::default()
            }),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["settings.egress".to_owned()],
        }),
        etag: workspace.etag,
    };
    api::workspaces().update_workspace(request).await?;
    Ok(())
}

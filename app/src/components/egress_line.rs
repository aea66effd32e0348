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

/// Where a refused host stands for who looks at it.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    /// Not known yet, or not theirs to change.
    Refused,
    /// They may allow it.
    Allowable,
    /// It is on the list by now.
    Listed,
}

/// The button, for who may change settings; what has come of it, for all. Known once the page lives:
/// within what is waited for while a page is rendered, nothing can be waited for once more.
#[component]
fn Allow(
    /// The host as a list names it.
    pattern: String,
) -> impl IntoView {
    let place = expect_context::<Place>();
    let pattern = StoredValue::new(pattern);
    let standing = RwSignal::new(Standing::Refused);
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    Effect::new(move || {
        if let Some(Some(Ok(workspace))) = place.workspace.get() {
            standing.set(pattern.with_value(|pattern| standing_of(&workspace.0, pattern)));
        }
    });
    let allow = move |_| {
        let Some(Some(Ok(workspace))) = place.workspace.get_untracked() else {
            return;
        };
        busy.set(true);
        error.set(None);
        spawn_local(async move {
            let allowed = allow(workspace.0, pattern.get_value()).await;
            busy.try_set(false);
            error.try_set(allowed.err());
            // Also when somebody else has changed it meanwhile.
            place.workspace.refetch();
        });
    };
    let shown = move || match standing.get() {
        Standing::Refused => ().into_any(),
        Standing::Listed => view! {
            <p class="quiet" role="status">
                "It is on the list now, and reached from the next message on."
            </p>
        }
        .into_any(),
        Standing::Allowable => view! {
            <button
                type="button"
                class="button small"
                disabled=move || busy.get()
                on:click=allow
            >
                <Glyph icon=Icon::Plus />
                "Allow this host"
            </button>
        }
        .into_any(),
    };
    view! {
        {shown}
        <InlineProblem error />
    }
    .into_any()
}

fn standing_of(workspace: &pb::Workspace, pattern: &String) -> Standing {
    let settings = workspace.settings.clone().unwrap_or_default();
    let listed = egress::mode_in(&settings) == EgressMode::Listed;
    let hosts = settings.egress.unwrap_or_default().hosts;
    if listed && hosts.contains(pattern) {
        return Standing::Listed;
    }
    if listed && workspace.role() != pb::Role::Viewer {
        return Standing::Allowable;
    }
    Standing::Refused
}

/// Adds a host to the workspace's list, unless it has changed meanwhile.
async fn allow(workspace: pb::Workspace, pattern: String) -> Result<(), ApiError> {
    let mut policy = workspace
        .settings
        .and_then(|settings| settings.egress)
        .unwrap_or_default();
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

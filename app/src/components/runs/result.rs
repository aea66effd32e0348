//! What a run made: looked at, and brought into the workspace.

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use super::detail::{Live, took};
use crate::{
    api, browser,
    changes::{Address, Around, Layout, Scope},
    components::icon::{Glyph, Icon},
};

/// The panel; nothing while there is no result.
#[component]
pub(super) fn ResultPanel(run: pb::Run, live: Live, may_change: bool) -> impl IntoView {
    if run.result_snapshot_id.is_empty() {
        return ().into_any();
    }
    let base = run.spec.clone().unwrap_or_default().base_snapshot_id;
    let changes = Address {
        workspace_id: run.workspace_id.clone(),
        scope: Scope::Snapshots(base, Some(run.result_snapshot_id.clone())),
        file: None,
        layout: Layout::Unified,
        around: Around::Near,
        page: String::new(),
    };
    let archive = format!(
        "/workspaces/{}/snapshots/{}/archive",
        run.workspace_id, run.result_snapshot_id
    );
    let words = match run.apply_state() {
        pb::ApplyState::Applied => "It is in the workspace now.",
        pb::ApplyState::Pending if run.conflicting_paths.is_empty() => "It waits to be applied.",
        pb::ApplyState::Pending => "It waits: both the run and somebody here changed some files.",
        _ => "Nothing is different from what it began with.",
    };
    let took = took(&run).map(|took| view! { <span class="quiet">" It took " {took} "."</span> });
    let pending = run.apply_state() == pb::ApplyState::Pending;
    let form = (pending && may_change).then(|| view! { <Apply run=run.clone() live /> });
    view! {
        <section class="block" aria-labelledby="result-heading">
            <h2 class="section-heading" id="result-heading">"What it made"</h2>
            <p>{words} {took}</p>
            <p class="snapshot-actions">
                <a class="button small" href=changes.href()>
                    <Glyph icon=Icon::Changes />
                    "Review changes"
                </a>
                <a class="button small" href=archive rel="external" download="">
                    <Glyph icon=Icon::Download />
                    "Download"
                </a>
            </p>
            {form}
        </section>
    }
    .into_any()
}

#[component]
fn Apply(run: pb::Run, live: Live) -> impl IntoView {
    let busy = RwSignal::new(false);
    let id = StoredValue::new(run.id.clone());
    let submit = move |event: SubmitEvent| {
        let Some((_, data)) = browser::submitted(&event) else {
            return;
        };
        busy.set(true);
        live.error.set(None);
        let kept = data.get_all("keep").into_iter();
        let request = pb::ApplyRunRequest {
            run_id: id.get_value(),
            keep_paths: kept.filter_map(|value| value.as_string()).collect(),
        };
        spawn_local(async move {
            match api::runs().apply_run(request).await {
                Ok(_) => live.reload(),
                Err(status) => {
                    live.error.try_set(Some(status.into()));
                }
            }
            busy.try_set(false);
        });
    };
    let conflicts = run.conflicting_paths.into_iter().map(|path| {
        view! {
            <label class="check">
                <input type="checkbox" name="keep" value=path.clone() />
                <bdi class="mono">{path}</bdi>
            </label>
        }
    });
    let conflicts: Vec<_> = conflicts.collect();
    let question = (!conflicts.is_empty()).then(|| {
        view! {
            <fieldset class="fieldset">
                <legend class="field-hint">"Keep the workspace's own of these, and not the run's:"</legend>
                <div class="run-conflicts">{conflicts}</div>
            </fieldset>
        }
    });
    view! {
        <form class="run-apply" on:submit=submit>
            {question}
            <button type="submit" class="button primary" disabled=move || busy.get()>
                {move || if busy.get() { "Applying…" } else { "Apply to the workspace" }}
            </button>
        </form>
    }
    .into_any()
}

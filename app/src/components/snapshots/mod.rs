//! Snapshots: taken, brought back, kept, let go.

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use leptos_router::hooks::use_location;
use membrane_proto::v1 as pb;

use super::{
    changes::review::may_discard, field::Field, from_terminal::FromTerminal, icon::Glyph,
    icon::Icon, problem::InlineProblem, problem::PageProblem, skeleton::Skeleton,
};
use crate::{
    api::{self, ApiError},
    browser,
    changes::page_in,
    context::Place,
    query,
};

mod row;

use row::{Asked, SnapshotRow};

/// What rows share.
#[derive(Clone, Copy)]
struct Snapshots {
    list: Resource<api::Reply<pb::ListSnapshotsResponse>>,
    /// What is open below a row: one thing in the whole list.
    asked: Asked,
    /// Why the latest call failed.
    error: RwSignal<Option<ApiError>>,
}

/// A page of them, and a form for another.
#[component]
pub fn SnapshotList() -> impl IntoView {
    let place = expect_context::<Place>();
    let search = use_location().search;
    let at = Memo::new(move |_| (place.workspace_id.get(), page_in(&search.read())));
    let list = Resource::new(
        move || at.get(),
        |(workspace_id, page)| api::load(snapshots(workspace_id.unwrap_or_default(), page)),
    );
    let state = Snapshots {
        list,
        asked: RwSignal::new(None),
        error: RwSignal::new(None),
    };
    let rows = move || {
        Suspend::new(async move {
            let may_change = may_discard().await;
            let (workspace_id, page) = at.get_untracked();
            let workspace_id = workspace_id.unwrap_or_default();
            match state.list.await {
                Ok(found) => {
                    let form = may_change
                        .then(|| view! { <Take workspace_id=workspace_id.clone() state /> });
                    let rows = rows(&workspace_id, &page, found.0, may_change, state);
                    view! {
                        {form}
                        <InlineProblem error=state.error />
                        {rows}
                    }
                    .into_any()
                }
                Err(error) => view! { <PageProblem error /> }.into_any(),
            }
        })
    };
    view! {
        <Transition fallback=|| {
            view! { <Skeleton lines=6 /> }
        }>{rows}</Transition>
    }
    .into_any()
}

fn rows(
    workspace_id: &str,
    page: &str,
    found: pb::ListSnapshotsResponse,
    may_change: bool,
    state: Snapshots,
) -> impl IntoView + use<> {
    if found.snapshots.is_empty() && page.is_empty() {
        let workspace_id = workspace_id.to_owned();
        return view! { <Empty workspace_id /> }.into_any();
    }
    // Below each stands the one before it.
    let earlier = found
        .snapshots
        .iter()
        .skip(1)
        .map(|snapshot| Some(snapshot.id.clone()));
    let earlier: Vec<_> = earlier.chain([None]).collect();
    let rows = found
        .snapshots
        .into_iter()
        .zip(earlier)
        .map(|(snapshot, earlier)| {
            let workspace_id = workspace_id.to_owned();
            view! { <SnapshotRow workspace_id snapshot earlier may_change state /> }
        });
    let latest = (!page.is_empty()).then(|| {
        view! { <a class="button small" href=address(workspace_id, "")>"Latest"</a> }
    });
    let older = (!found.next_page_token.is_empty()).then(|| {
        let href = address(workspace_id, &found.next_page_token);
        view! { <a class="button small" href=href rel="next">"Older"</a> }
    });
    view! {
        <ul class="rows snapshots">{rows.collect_view()}</ul>
        <p class="pager">{latest} {older}</p>
    }
    .into_any()
}

/// The address of a page of the list.
fn address(workspace_id: &str, page: &str) -> String {
    let mut href = format!("/workspaces/{workspace_id}/snapshots");
    query::push(&mut href, [("page", Some(page))]);
    href
}

#[component]
fn Take(workspace_id: String, state: Snapshots) -> impl IntoView {
    let busy = RwSignal::new(false);
    let workspace_id = StoredValue::new(workspace_id);
    let submit = move |event: SubmitEvent| {
        let Some((form, data)) = browser::submitted(&event) else {
            return;
        };
        busy.set(true);
        state.error.set(None);
        let request = pb::CreateSnapshotRequest {
            workspace_id: workspace_id.get_value(),
            title: browser::field(&data, "title").trim().to_owned(),
            pinned: false,
            request_id: browser::request_id(),
        };
        spawn_local(async move {
            match api::snapshots().create_snapshot(request).await {
                Ok(_) => {
                    form.reset();
                    state.list.refetch();
                }
                Err(status) => {
                    state.error.try_set(Some(status.into()));
                }
            }
            busy.try_set(false);
        });
    };
    view! {
        <form class="snapshot-form" on:submit=submit>
            <Field id="snapshot-title" label="What to call it, if you like" hint="">
                <input
                    class="input"
                    id="snapshot-title"
                    name="title"
                    maxlength="100"
                    autocomplete="off"
                    placeholder="Before the big change"
                />
            </Field>
            <button type="submit" class="button primary" disabled=move || busy.get()>
                <Glyph icon=Icon::Snapshot />
                {move || if busy.get() { "Taking…" } else { "Take a snapshot" }}
            </button>
        </form>
    }
    .into_any()
}

/// Teaches what a snapshot is.
#[component]
fn Empty(workspace_id: String) -> impl IntoView {
    let request = format!("{{\"workspace_id\": \"{workspace_id}\", \"title\": \"before\"}}");
    view! {
        <section class="empty">
            <span class="empty-icon"><Glyph icon=Icon::Snapshot /></span>
            <h2>"No snapshots yet"</h2>
            <p>
                "A snapshot is a picture of all files that never changes. See what is different since, "
                "bring everything back at once or a single folder, or download it as a zip. Equal "
                "contents are kept once, so it costs only what is new."
            </p>
            <FromTerminal method="SnapshotService/CreateSnapshot" request />
        </section>
    }
    .into_any()
}

async fn snapshots(
    workspace_id: String,
    page_token: String,
) -> Result<pb::ListSnapshotsResponse, ApiError> {
    let request = pb::ListSnapshotsRequest {
        workspace_id,
        page_token,
        ..Default::default()
    };
    Ok(api::snapshots().list_snapshots(request).await?.into_inner())
}

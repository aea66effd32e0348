//! One snapshot: what it is, and what can be done with it.

use std::future::Future;

use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use super::Snapshots;
use crate::{
    api::{self, ApiError},
    changes::{Address, Around, Layout, Scope},
    components::{
        icon::{Glyph, Icon},
        time::Time,
        toasts::Toasts,
    },
    format,
};

/// What can be open below a snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Restore,
    Delete,
}

/// What is open, and below which snapshot.
pub(super) type Asked = RwSignal<Option<(Ask, String)>>;

/// A snapshot that rows name.
#[derive(Clone)]
struct Named {
    workspace_id: String,
    id: String,
}

/// A snapshot of the list.
#[component]
pub(super) fn SnapshotRow(
    workspace_id: String,
    snapshot: pb::Snapshot,
    /// The one before it, if the list has it.
    earlier: Option<String>,
    may_change: bool,
    state: Snapshots,
) -> impl IntoView {
    let compare = |before: &str, after: Option<&str>| {
        let address = Address {
            workspace_id: workspace_id.clone(),
            scope: Scope::Snapshots(before.to_owned(), after.map(ToOwned::to_owned)),
            file: None,
            layout: Layout::Unified,
            around: Around::Near,
            page: String::new(),
        };
        address.href()
    };
    let title = words(&snapshot);
    let since = compare(&snapshot.id, None);
    let own = earlier.map(|earlier| {
        let href = compare(&earlier, Some(&snapshot.id));
        view! { <a class="button small" href=href>"What was new"</a> }
    });
    let archive = format!(
        "/workspaces/{workspace_id}/snapshots/{}/archive",
        snapshot.id
    );
    let pinned = snapshot
        .pinned
        .then(|| view! { <span class="tag">"pinned"</span> });
    let named = StoredValue::new(Named {
        workspace_id: workspace_id.clone(),
        id: snapshot.id.clone(),
    });
    let actions = may_change
        .then(|| view! { <Actions named title=title.clone() pinned=snapshot.pinned state /> });
    view! {
        <li class="snapshot">
            <div class="row snapshot-row">
                <span class="row-icon"><Glyph icon=icon(snapshot.kind()) /></span>
                <span class="row-main">
                    <a class="row-title" href=since title="What has changed since"><bdi>{title.clone()}</bdi></a>
                    <span class="row-sub">
                        {kind(snapshot.kind())} ", "
                        {format::count(snapshot.file_count, "file", "files")} ", "
                        {format::bytes(snapshot.total_bytes)} <Time time=snapshot.create_time />
                    </span>
                </span>
                {pinned}
                <span class="snapshot-actions">
                    {own}
                    <a
                        class="button small"
                        href=archive
                        rel="external"
                        download=""
                        aria-label=format!("Download {title}")
                        title="Download as a zip"
                    >
                        <Glyph icon=Icon::Download />
                    </a>
                    {actions}
                </span>
            </div>
            {may_change.then(|| view! { <Below named state /> })}
        </li>
    }
    .into_any()
}

#[component]
fn Actions(
    named: StoredValue<Named>,
    title: String,
    pinned: bool,
    state: Snapshots,
) -> impl IntoView {
    let open = move |ask| {
        let asked = state.asked.get();
        asked.is_some_and(|(now, of)| now == ask && named.with_value(|named| named.id == of))
    };
    let toggle = move |ask| {
        let is_open = untrack(|| open(ask));
        let id = named.with_value(|named| named.id.clone());
        state.asked.set((!is_open).then_some((ask, id)));
    };
    let pin = move |_| {
        call(
            state,
            move || set_pinned(named.get_value(), !pinned),
            |()| (),
        )
    };
    let button = |words: &'static str, ask: Ask, class: &'static str| {
        view! {
            <button
                type="button"
                class=class
                aria-label=format!("{words} {title}")
                aria-expanded=move || open(ask).to_string()
                on:click=move |_| toggle(ask)
            >
                {words}
            </button>
        }
    };
    let delete = (!pinned).then(|| button("Delete", Ask::Delete, "button small danger"));
    let word = if pinned { "Unpin" } else { "Pin" };
    view! {
        <button type="button" class="button small" aria-label=format!("{word} {title}") on:click=pin>
            {word}
        </button>
        {button("Restore", Ask::Restore, "button small")}
        {delete}
    }
    .into_any()
}

/// What asks once more before something is done.
#[component]
fn Below(named: StoredValue<Named>, state: Snapshots) -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    let restore = move |_| {
        let done = move |answer| restored(toasts, named, state, answer);
        call(state, move || bring_back(named.get_value()), done);
    };
    let delete = move |_| call(state, move || remove(named.get_value()), |()| ());
    let open = Memo::new(move |_| {
        let asked = state.asked.get();
        asked.and_then(|(ask, of)| named.with_value(|named| named.id == of).then_some(ask))
    });
    move || {
        match open.get() {
        None => ().into_any(),
        Some(Ask::Restore) => view! {
            <Question
                words="All files become as they are in this snapshot. What is there now becomes a snapshot, too."
                yes="Restore"
                class="button primary small"
                go=Callback::new(restore)
                state
            />
        }
        .into_any(),
        Some(Ask::Delete) => view! {
            <Question
                words="Contents that nothing else needs go with it."
                yes="Really delete"
                class="button danger small"
                go=Callback::new(delete)
                state
            />
        }
        .into_any(),
    }
    }
}

#[component]
fn Question(
    words: &'static str,
    yes: &'static str,
    class: &'static str,
    go: Callback<()>,
    state: Snapshots,
) -> impl IntoView {
    view! {
        <div class="snapshot-question" role="group" aria-label="Confirm">
            <p>{words}</p>
            <span class="snapshot-actions">
                <button type="button" class=class on:click=move |_| go.run(())>
                    {yes}
                </button>
                <button type="button" class="button small" on:click=move |_| state.asked.set(None)>
                    "Cancel"
                </button>
            </span>
        </div>
    }
    .into_any()
}

/// Makes a call, and then shows the list anew, or why it failed.
fn call<T: 'static, F: Future<Output = Result<T, ApiError>> + 'static>(
    state: Snapshots,
    make: impl FnOnce() -> F + 'static,
    done: impl FnOnce(T) + 'static,
) {
    state.error.set(None);
    spawn_local(async move {
        match make().await {
            Ok(answer) => {
                state.asked.try_set(None);
                state.list.refetch();
                done(answer);
            }
            Err(error) => {
                state.error.try_set(Some(error));
            }
        }
    });
}

/// Says what a restore did, and offers to take it back.
fn restored(
    toasts: Toasts,
    named: StoredValue<Named>,
    state: Snapshots,
    answer: pb::RestoreSnapshotResponse,
) {
    let Some(before) = answer.before else {
        toasts.say("Nothing to restore: the files are as they are in this snapshot.".to_owned());
        return;
    };
    let count = format::count(answer.changed_count.into(), "entry", "entries");
    let Some(named) = named.try_get_value() else {
        return;
    };
    let undo = move || {
        let before = Named {
            workspace_id: named.workspace_id.clone(),
            id: before.id.clone(),
        };
        let again = move |_| toasts.say("The files are as they were before.".to_owned());
        call(state, move || bring_back(before), again);
    };
    toasts.offer(format!("Restored: {count} changed."), "Undo", undo);
}

async fn bring_back(named: Named) -> Result<pb::RestoreSnapshotResponse, ApiError> {
    let request = pb::RestoreSnapshotRequest {
        workspace_id: named.workspace_id,
        snapshot_id: named.id,
        paths: Vec::new(),
    };
    let answer = api::snapshots().restore_snapshot(request).await?;
    Ok(answer.into_inner())
}

async fn set_pinned(named: Named, pinned: bool) -> Result<(), ApiError> {
    let request = pb::UpdateSnapshotRequest {
        workspace_id: named.workspace_id,
        snapshot: Some(pb::Snapshot {
            id: named.id,
            pinned,
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["pinned".to_owned()],
        }),
    };
    api::snapshots().update_snapshot(request).await?;
    Ok(())
}

async fn remove(named: Named) -> Result<(), ApiError> {
    let request = pb::DeleteSnapshotRequest {
        workspace_id: named.workspace_id,
        snapshot_id: named.id,
    };
    api::snapshots().delete_snapshot(request).await?;
    Ok(())
}

fn words(snapshot: &pb::Snapshot) -> String {
    if snapshot.title.is_empty() {
        return "Without a name".to_owned();
    }
    snapshot.title.clone()
}

fn kind(kind: pb::SnapshotKind) -> &'static str {
    match kind {
        pb::SnapshotKind::BeforeRestore => "kept by a restore",
        pb::SnapshotKind::Received => "received",
        _ => "taken",
    }
}

fn icon(kind: pb::SnapshotKind) -> Icon {
    match kind {
        pb::SnapshotKind::BeforeRestore => Icon::Undo,
        pb::SnapshotKind::Received => Icon::Upload,
        _ => Icon::Snapshot,
    }
}

//! The head of a session: its title, what it is doing, what it cost, and what can be done to it.

use leptos::{ev::SubmitEvent, html, prelude::*, task::spawn_local};
use leptos_router::hooks::use_navigate;
use membrane_proto::v1 as pb;
use prost_types::FieldMask;

use super::{
    icon::{Glyph, Icon},
    metering::Used,
    problem::InlineProblem,
    rail::title,
    state::StatePill,
};
use crate::{
    api::{self, ApiError},
    context::Place,
    live::Feed,
};

/// The head.
#[component]
pub fn SessionHead(
    /// The session.
    feed: Feed,
    /// Whether its workspace uses the scripted model.
    demo: bool,
) -> impl IntoView {
    let editing = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let session = feed.session;
    let name = move || session.with(title);
    let back = session.with_untracked(|session| format!("/workspaces/{}", session.workspace_id));
    let changes = session.with_untracked(|session| {
        format!(
            "/workspaces/{}/sessions/{}/changes",
            session.workspace_id, session.id
        )
    });
    view! {
        <header class="header session-head">
            <a class="head-back" href=back aria-label="All sessions of this workspace">
                <Glyph icon=Icon::Chevron />
            </a>
            <Show
                when=move || editing.get()
                fallback=move || view! { <h1 class="header-title">{name}</h1> }
            >
                <Rename feed editing error />
            </Show>
            <div class="header-actions">
                {demo
                    .then(|| {
                        view! {
                            <span class="tag" title="The demo provider plays a script; no model is asked.">
                                "Scripted, not a model"
                            </span>
                        }
                    })}
                <StatePill activity=feed.activity />
                <Used feed />
                <a class="button small head-changes" href=changes aria-label="Changes">
                    <Glyph icon=Icon::Changes />
                    <span class="head-changes-word">"Changes"</span>
                </a>
                <Menu feed editing error />
            </div>
        </header>
        <InlineProblem error />
    }
    .into_any()
}

#[component]
fn Rename(feed: Feed, editing: RwSignal<bool>, error: RwSignal<Option<ApiError>>) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    Effect::new(move || {
        if let Some(input) = input.get() {
            input.select();
            let _ = input.focus();
        }
    });
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(input) = input.get_untracked() else {
            return;
        };
        let title = input.value().trim().to_owned();
        error.set(None);
        spawn_local(async move {
            match rename(feed, title).await {
                Ok(()) => {
                    editing.try_set(false);
                }
                Err(problem) => {
                    error.try_set(Some(problem));
                }
            }
        });
    };
    let before = feed.session.with_untracked(|session| session.title.clone());
    let leave = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Escape" {
            event.prevent_default();
            editing.set(false);
        }
    };
    view! {
        <form class="rename" on:submit=save>
            <input
                class="input"
                aria-label="Title"
                maxlength="200"
                value=before
                node_ref=input
                on:keydown=leave
            />
            <button type="submit" class="button small primary">"Save"</button>
            <button type="button" class="button small" on:click=move |_| editing.set(false)>"Cancel"</button>
        </form>
    }
    .into_any()
}

async fn rename(feed: Feed, title: String) -> Result<(), ApiError> {
    let (id, etag) = feed
        .session
        .with_untracked(|session| (session.id.clone(), session.etag.clone()));
    let request = pb::UpdateSessionRequest {
        session: Some(pb::Session {
            id,
            title,
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["title".to_owned()],
        }),
        etag,
    };
    let answer = api::sessions().update_session(request).await?.into_inner();
    feed.session
        .set(answer.session.ok_or_else(ApiError::incomplete)?);
    Ok(())
}

#[component]
fn Menu(feed: Feed, editing: RwSignal<bool>, error: RwSignal<Option<ApiError>>) -> impl IntoView {
    let menu = NodeRef::<html::Details>::new();
    let asked = RwSignal::new(false);
    let place = expect_context::<Place>();
    let navigate = use_navigate();
    let close = move || {
        asked.set(false);
        if let Some(menu) = menu.get_untracked() {
            menu.set_open(false);
        }
    };
    let delete = move |_| {
        if !asked.get_untracked() {
            return asked.set(true);
        }
        close();
        let navigate = navigate.clone();
        let session = feed.session.get_untracked();
        spawn_local(async move {
            let request = pb::DeleteSessionRequest {
                session_id: session.id,
            };
            match api::sessions().delete_session(request).await {
                Ok(_) => {
                    place.sessions.refetch();
                    navigate(
                        &format!("/workspaces/{}", session.workspace_id),
                        Default::default(),
                    );
                }
                Err(status) => {
                    error.try_set(Some(status.into()));
                }
            }
        });
    };
    let leave = move |event: leptos::ev::KeyboardEvent| {
        let open = menu.get_untracked().is_some_and(|menu| menu.open());
        if event.key() == "Escape" && open {
            event.prevent_default();
            close();
        }
    };
    view! {
        <details class="menu" node_ref=menu on:keydown=leave>
            <summary class="button small icon-only" aria-label="More">
                <span aria-hidden="true">"⋯"</span>
            </summary>
            <div class="menu-list">
                <button
                    type="button"
                    class="menu-item"
                    on:click=move |_| {
                        close();
                        editing.set(true);
                    }
                >
                    <Glyph icon=Icon::Pencil />
                    "Rename"
                </button>
                <button type="button" class="menu-item danger" on:click=delete>
                    <Glyph icon=Icon::Trash />
                    {move || if asked.get() { "Delete it with its history?" } else { "Delete" }}
                </button>
            </div>
        </details>
    }
    .into_any()
}

//! The left rail: which workspace, its pages, its latest sessions; who you are and how things are.

use std::collections::HashMap;

use leptos::{html, prelude::*};
use leptos_router::{components::A, hooks::use_location};
use membrane_proto::v1 as pb;

use super::{
    connection::ConnectionLine,
    icon::{Glyph, Icon, Mark},
    palette::{Palette, PaletteButton},
    sandbox::{NetworkLine, SandboxLine},
    state::words,
    theme::ThemeSwitch,
};
use crate::{context::Place, transcript::Activity};

/// Number of sessions that the rail lists.
const LATEST: usize = 12;

/// The rail.
#[component]
pub fn Rail() -> impl IntoView {
    view! {
        <nav class="rail" aria-label="Console">
            <a class="rail-brand" href="/">
                <Mark />
                <span>"Membrane"</span>
            </a>
            <PaletteButton />
            <RailPlace />
            <RailFoot />
        </nav>
    }
    .into_any()
}

#[component]
fn RailPlace() -> impl IntoView {
    let place = expect_context::<Place>();
    let pages = move || {
        let Some(id) = place.workspace_id.get() else {
            return general_pages().into_any();
        };
        view! {
            <ul class="rail-list">
                <li>
                    <RailLink href="/".to_owned() icon=Icon::Workspaces text="All workspaces" exact=true />
                </li>
            </ul>
            <div class="rail-workspace">
                <Transition>{move || Suspend::new(async move { workspace_name(place).await })}</Transition>
            </div>
            <ul class="rail-list">{PAGES.map(|page| workspace_page(&id, page)).into_iter().collect_view()}</ul>
            <div class="rail-sessions">
                <Transition>{move || Suspend::new(async move { latest(place).await })}</Transition>
            </div>
        }
        .into_any()
    };
    view! { <div class="rail-place">{pages}</div> }.into_any()
}

/// The pages of a workspace: what its address ends with, its picture, its name, and whether it has no
/// pages below it.
const PAGES: [(&str, Icon, &str, bool); 9] = [
    ("", Icon::Sessions, "Sessions", true),
    ("/files", Icon::Folder, "Files", false),
    ("/search", Icon::Search, "Search", true),
    ("/changes", Icon::Changes, "Changes", false),
    ("/runs", Icon::Cube, "Runs", false),
    ("/schedules", Icon::Clock, "Schedules", false),
    ("/snapshots", Icon::Snapshot, "Snapshots", false),
    ("/activity", Icon::Activity, "Activity", true),
    ("/settings", Icon::Settings, "Settings", true),
];

fn workspace_page(
    id: &str,
    (name, icon, text, exact): (&str, Icon, &'static str, bool),
) -> AnyView {
    let href = format!("/workspaces/{id}{name}");
    view! {
        <li>
            <RailLink href icon text exact />
        </li>
    }
    .into_any()
}

fn general_pages() -> impl IntoView {
    view! {
        <ul class="rail-list">
            <li>
                <RailLink href="/".to_owned() icon=Icon::Workspaces text="Workspaces" exact=true />
            </li>
            <li>
                <RailLink href="/account".to_owned() icon=Icon::Account text="Account" exact=true />
            </li>
        </ul>
    }
    .into_any()
}

async fn workspace_name(place: Place) -> impl IntoView {
    match place.workspace.await {
        Some(Ok(workspace)) => {
            let name = workspace.0.name;
            view! { <span class="rail-workspace-name" title=name.clone()>{name.clone()}</span> }
                .into_any()
        }
        _ => view! { <span class="rail-workspace-name quiet">"Workspace"</span> }.into_any(),
    }
}

async fn latest(place: Place) -> impl IntoView {
    let Some(Ok(sessions)) = place.sessions.await else {
        return ().into_any();
    };
    if sessions.0.sessions.is_empty() {
        return ().into_any();
    }
    let lines = sessions
        .0
        .sessions
        .into_iter()
        .take(LATEST)
        .map(session_line)
        .collect_view();
    view! {
        <h2 class="rail-heading">"Latest"</h2>
        <ul class="rail-list">{lines}</ul>
    }
    .into_any()
}

fn session_line(session: pb::Session) -> impl IntoView {
    let (word, class) = words(Activity::of(session.state()));
    let title = title(&session);
    let full = title.clone();
    view! {
        <li>
            <A
                href=format!("/workspaces/{}/sessions/{}", session.workspace_id, session.id)
                attr:class="rail-link rail-session"
                attr:title=full
            >
                <span class=format!("state {class}")>
                    <span class="dot"></span>
                    <span class="for-readers">{word}</span>
                </span>
                <span class="rail-text">{title}</span>
            </A>
        </li>
    }
    .into_any()
}

/// A session's title, or what stands for it.
pub fn title(session: &pb::Session) -> String {
    if session.title.is_empty() {
        "New session".to_owned()
    } else {
        session.title.clone()
    }
}

/// Titles of the latest sessions by id.
pub async fn titles(place: Place) -> HashMap<String, String> {
    let Some(Ok(sessions)) = place.sessions.await else {
        return HashMap::new();
    };
    let sessions = sessions.0.sessions.iter();
    sessions
        .map(|session| (session.id.clone(), title(session)))
        .collect()
}

#[component]
fn RailLink(href: String, icon: Icon, text: &'static str, exact: bool) -> impl IntoView {
    view! {
        <A href exact attr:class="rail-link">
            <Glyph icon />
            <span class="rail-text">{text}</span>
        </A>
    }
    .into_any()
}

#[component]
fn RailFoot() -> impl IntoView {
    let place = expect_context::<Place>();
    view! {
        <div class="rail-foot">
            <ConnectionLine />
            <Transition>
                {move || Suspend::new(async move {
                    match place.me.await {
                        Ok(me) => {
                            let name = me.0.user.clone().unwrap_or_default().name;
                            let workspace = place.workspace.await.and_then(Result::ok);
                            view! {
                                <SandboxLine me=me.0 />
                                {workspace.map(|workspace| view! { <NetworkLine workspace=workspace.0 /> })}
                                <AccountLink name />
                            }
                                .into_any()
                        }
                        Err(_) => view! { <span class="status-line bad">"Not signed in"</span> }.into_any(),
                    }
                })}
            </Transition>
            <ThemeSwitch />
        </div>
    }
    .into_any()
}

#[component]
fn AccountLink(name: String) -> impl IntoView {
    view! {
        <A href="/account" exact=true attr:class="rail-link rail-account">
            <Glyph icon=Icon::Account />
            <span class="rail-text">{name}</span>
        </A>
    }
    .into_any()
}

/// The same on a phone: tabs at the bottom, as many as have room, and the rest behind the last.
#[component]
pub fn Tabs() -> impl IntoView {
    let place = expect_context::<Place>();
    let palette = expect_context::<Palette>();
    let path = use_location().pathname;
    let in_session = move || path.get().contains("/sessions/");
    let pages = move || match place.workspace_id.get() {
        None => {
            view! { <Tab href="/".to_owned() icon=Icon::Workspaces text="Workspaces" exact=true /> }
                .into_any()
        }
        Some(id) => {
            let at = |rest: &str| format!("/workspaces/{id}{rest}");
            view! {
                <Tab href=at("") icon=Icon::Sessions text="Sessions" exact=true />
                <Tab href=at("/files") icon=Icon::Folder text="Files" exact=false />
                <Tab href=at("/changes") icon=Icon::Changes text="Changes" exact=false />
            }
            .into_any()
        }
    };
    let last = move || {
        match place.workspace_id.get() {
        None => view! { <Tab href="/account".to_owned() icon=Icon::Account text="Account" exact=true /> }
            .into_any(),
        Some(id) => view! { <More id /> }.into_any(),
    }
    };
    view! {
        <nav class="tabs" class:in-session=in_session aria-label="Pages">
            {pages}
            <button type="button" class="tab needs-script" on:click=move |_| palette.show()>
                <Glyph icon=Icon::Search />
                <span>"Go to"</span>
            </button>
            {last}
        </nav>
    }
    .into_any()
}

#[component]
fn Tab(href: String, icon: Icon, text: &'static str, exact: bool) -> impl IntoView {
    view! {
        <A href exact attr:class="tab">
            <Glyph icon />
            <span>{text}</span>
        </A>
    }
    .into_any()
}

/// What has no tab of its own.
#[component]
fn More(id: String) -> impl IntoView {
    let menu = NodeRef::<html::Details>::new();
    let close = move || {
        if let Some(menu) = menu.get_untracked() {
            menu.set_open(false);
        }
    };
    let escape = move |event: leptos::ev::KeyboardEvent| {
        let open = menu.get_untracked().is_some_and(|menu| menu.open());
        if event.key() == "Escape" && open {
            event.prevent_default();
            close();
        }
    };
    let links = [
        (format!("/workspaces/{id}/search"), Icon::Search, "Search"),
        (format!("/workspaces/{id}/runs"), Icon::Cube, "Runs"),
        (
            format!("/workspaces/{id}/snapshots"),
            Icon::Snapshot,
            "Snapshots",
        ),
        (
            format!("/workspaces/{id}/activity"),
            Icon::Activity,
            "Activity",
        ),
        (
            format!("/workspaces/{id}/settings"),
            Icon::Settings,
            "Settings",
        ),
        ("/".to_owned(), Icon::Workspaces, "All workspaces"),
        ("/account".to_owned(), Icon::Account, "Account"),
    ];
    let links = links.map(|(href, icon, text)| {
        view! {
            <A href exact=true attr:class="menu-item" on:click=move |_| close()>
                <Glyph icon />
                {text}
            </A>
        }
    });
    view! {
        <details class="tab-more" node_ref=menu on:keydown=escape>
            <summary class="tab">
                <Glyph icon=Icon::More />
                <span>"More"</span>
            </summary>
            <div class="menu-list upwards">
                {links.into_iter().collect_view()}
                <ConnectionLine />
                <ThemeSwitch />
            </div>
        </details>
    }
    .into_any()
}

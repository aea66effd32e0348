//! All workspaces of the caller, and what to do when there is none.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::components::A;
use membrane_proto::v1 as pb;

use crate::{
    api::{self, ApiError},
    components::{
        from_terminal::FromTerminal,
        header::Header,
        icon::{Glyph, Icon},
        problem::Problem,
        skeleton::Skeleton,
        time::Time,
    },
    format,
    words::provider_name,
};

/// The page.
#[component]
pub fn Workspaces() -> impl IntoView {
    let list = Resource::new(|| (), |()| api::load(load()));
    view! {
        <Title text="Workspaces" />
        <Header title="Workspaces">
            <A href="/workspaces/new" attr:class="button primary">
                <Glyph icon=Icon::Plus />
                "New workspace"
            </A>
        </Header>
        <div class="page">
            <Transition fallback=|| {
                view! { <Skeleton lines=5 /> }
            }>
                {move || Suspend::new(async move {
                    match list.await {
                        Ok(list) if list.0.workspaces.is_empty() => empty().into_any(),
                        Ok(list) => rows(list.0.workspaces).into_any(),
                        Err(error) => view! { <Problem error /> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
    .into_any()
}

/// All of them, as far as anybody reads.
pub async fn load() -> Result<pb::ListWorkspacesResponse, ApiError> {
    let mut all = pb::ListWorkspacesResponse::default();
    loop {
        let request = pb::ListWorkspacesRequest {
            page_size: 200,
            page_token: std::mem::take(&mut all.next_page_token),
        };
        let page = api::workspaces()
            .list_workspaces(request)
            .await?
            .into_inner();
        all.workspaces.extend(page.workspaces);
        // A thousand rows are more than anybody reads.
        if page.next_page_token.is_empty() || all.workspaces.len() >= 1_000 {
            return Ok(all);
        }
        all.next_page_token = page.next_page_token;
    }
}

fn rows(workspaces: Vec<pb::Workspace>) -> impl IntoView {
    let rows = workspaces.into_iter().map(row).collect_view();
    view! { <ul class="rows">{rows}</ul> }.into_any()
}

fn row(workspace: pb::Workspace) -> impl IntoView {
    let settings = workspace.settings.unwrap_or_default();
    let active = workspace.active_session_count;
    let running = (active > 0).then(|| {
        view! {
            <span class="state running">
                <span class="dot"></span>
                {format::count(active.into(), "session at work", "sessions at work")}
            </span>
        }
    });
    let demo = settings.provider() == pb::Provider::Demo;
    view! {
        <li>
            <A href=format!("/workspaces/{}", workspace.id) attr:class="row">
                <span class="row-icon"><Glyph icon=Icon::Cube /></span>
                <span class="row-main">
                    <span class="row-title">{workspace.name}</span>
                    <span class="row-sub">
                        <span>{provider_name(settings.provider())}</span>
                        {(!demo).then(|| view! { <span class="mono">{settings.model}</span> })}
                        <span>
                            {format::count(workspace.session_count.into(), "session", "sessions")}
                        </span>
                    </span>
                </span>
                {running}
                <span class="row-time"><Time time=workspace.update_time /></span>
            </A>
        </li>
    }
    .into_any()
}

fn empty() -> impl IntoView {
    view! {
        <section class="empty">
            <span class="empty-icon"><Glyph icon=Icon::Cube /></span>
            <h2>"A workspace is a directory with an agent in it"</h2>
            <p>
                "It holds the files that the agent may touch, the key it works with, and a record of "
                "everything it did. Start with an empty one or bring a zip of your project."
            </p>
            <p>
                <A href="/workspaces/new" attr:class="button primary">
                    <Glyph icon=Icon::Plus />
                    "Create your first workspace"
                </A>
            </p>
            <FromTerminal
                method="WorkspaceService/CreateWorkspace"
                request="{\"name\": \"my-project\"}"
            />
        </section>
    }
    .into_any()
}

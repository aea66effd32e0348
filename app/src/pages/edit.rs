//! One file of a workspace, to be edited.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_location;
use membrane_proto::v1 as pb;

use crate::{
    api::{self, ApiError},
    components::{
        editor::Editor,
        header::Header,
        icon::{Glyph, Icon},
        problem::PageProblem,
        skeleton::Skeleton,
    },
    context::Place,
    edit::{self, Opened, Refusal},
    path, text, title,
};

/// The page.
#[component]
pub fn EditPage() -> impl IntoView {
    let place = expect_context::<Place>();
    let pathname = use_location().pathname;
    let path = Memo::new(move |_| pathname.with(|address| path::from_address(address)));
    let opened = Resource::new(
        move || (place.workspace_id.get().unwrap_or_default(), path.get()),
        |(id, path)| {
            api::fit(async move {
                edit::open(id, path.clone())
                    .await
                    .map(|opened| (path, opened))
            })
        },
    );
    let name = title::lasting(move || path.try_with(|path| text::plain(path::name(path))));
    view! {
        <Title text=name />
        <Transition fallback=|| {
            view! { <div class="page"><Skeleton lines=8 /></div> }
        }>
            {move || Suspend::new(async move {
                let opened = opened.await;
                match (place.workspace.await, opened) {
                    (Some(Ok(workspace)), Ok((path, opened))) => page(workspace.0, path, opened),
                    (Some(Err(error)), _) | (_, Err(error)) => failed(error),
                    (None, _) => ().into_any(),
                }
            })}
        </Transition>
    }
    .into_any()
}

fn page(workspace: pb::Workspace, path: String, opened: Opened) -> AnyView {
    let may_write = workspace.role() != pb::Role::Viewer;
    let workspace_id = workspace.id;
    let back = path::address(&workspace_id, &path);
    match opened {
        Ok(text) => {
            let shown = text::plain(&path);
            view! { <Editor workspace_id path shown back text may_write /> }.into_any()
        }
        Err(refusal) => refused(path, back, refusal),
    }
}

fn refused(path: String, back: String, refusal: Refusal) -> AnyView {
    view! {
        <Header title=text::plain(&path)>
            <a class="button small" href=back>"Close"</a>
        </Header>
        <div class="page">
            <section class="empty">
                <span class="empty-icon"><Glyph icon=Icon::File /></span>
                <h2>"This can't be edited here"</h2>
                <p>{refusal.words()}</p>
            </section>
        </div>
    }
    .into_any()
}

fn failed(error: ApiError) -> AnyView {
    view! { <div class="page"><PageProblem error /></div> }.into_any()
}

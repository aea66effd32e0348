//! The files of a workspace.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_location, use_navigate};
use membrane_proto::v1 as pb;

use crate::{
    api::{self, ApiError},
    components::{files::FilesView, problem::PageProblem, skeleton::Skeleton},
    context::Place,
    files::{Files, Loaded, Shown, load},
    path,
};

/// The page. It lives on while one goes from file to file.
#[component]
pub fn FilesPage() -> impl IntoView {
    let place = expect_context::<Place>();
    let location = use_location();
    let first = Resource::new(
        move || place.workspace_id.get().unwrap_or_default(),
        move |id| {
            let path = location
                .pathname
                .with_untracked(|address| path::from_address(address));
            let source = location.query.with_untracked(path::wants_source);
            api::fit(async move { load(id, path, source, |_| false).await })
        },
    );
    view! {
        <Transition fallback=|| {
            view! { <div class="page"><Skeleton lines=8 /></div> }
        }>
            {move || Suspend::new(async move {
                let loaded = first.await;
                match place.workspace.await {
                    Some(Ok(workspace)) => page(workspace.0, loaded),
                    Some(Err(error)) => failed(error),
                    None => ().into_any(),
                }
            })}
        </Transition>
    }
    .into_any()
}

fn page(workspace: pb::Workspace, loaded: Loaded) -> AnyView {
    if let Shown::Missing(_, error) = &loaded.shown
        && error.is_not_found()
    {
        api::set_page_status(404);
    }
    let navigate = use_navigate();
    let go = Callback::new(move |address: String| navigate(&address, Default::default()));
    let may_write = workspace.role() != pb::Role::Viewer;
    let files = Files::new(workspace.id, may_write, loaded, go);
    view! { <FilesView files /> }.into_any()
}

fn failed(error: ApiError) -> AnyView {
    view! {
        <Title text="Files" />
        <div class="page"><PageProblem error /></div>
    }
    .into_any()
}

//! A workspace's own page: what to do next, a place to say it, and the sessions so far.

use std::time::Duration;

use leptos::prelude::*;
use leptos_meta::Title;
use membrane_proto::v1 as pb;

use crate::{
    api::{self, ApiError},
    components::{
        first_steps::FirstSteps,
        header::Header,
        new_session::NewSession,
        problem::{PageProblem, Problem},
        session_row::SessionRow,
        skeleton::Skeleton,
    },
    context::Place,
};

/// How often the list is read again while it is looked at.
const REFRESH: Duration = Duration::from_secs(5);

/// The page.
#[component]
pub fn Home() -> impl IntoView {
    let place = expect_context::<Place>();
    let keys = Resource::new(
        move || place.workspace_id.get(),
        |id| api::load(provider_keys(id.unwrap_or_default())),
    );
    refresh(place);
    view! {
        <Transition fallback=|| {
            view! { <div class="page"><Skeleton lines=6 /></div> }
        }>
            {move || Suspend::new(async move {
                match place.workspace.await {
                    Some(Ok(workspace)) => {
                        let keys = keys.await.map(|keys| keys.0.provider_keys).unwrap_or_default();
                        home(place, workspace.0, keys).into_any()
                    }
                    Some(Err(error)) => {
                        view! {
                            <Title text="Workspace" />
                            <div class="page"><PageProblem error /></div>
                        }
                            .into_any()
                    }
                    None => ().into_any(),
                }
            })}
        </Transition>
    }
    .into_any()
}

/// The list has a boundary of its own: it is read again and again, and what is being typed above
/// it must stay.
fn home(place: Place, workspace: pb::Workspace, keys: Vec<pb::ProviderKey>) -> impl IntoView {
    let name = workspace.name.clone();
    view! {
        <Title text=name.clone() />
        <Header title=name />
        <div class="page">
            <NewSession workspace_id=workspace.id.clone() role=workspace.role() />
            <FirstSteps workspace keys />
            <Transition>
                {move || Suspend::new(async move {
                    match place.sessions.await {
                        Some(Ok(sessions)) => session_list(sessions.0).into_any(),
                        Some(Err(error)) => view! { <Problem error /> }.into_any(),
                        None => ().into_any(),
                    }
                })}
            </Transition>
        </div>
    }
    .into_any()
}

fn session_list(sessions: pb::ListSessionsResponse) -> impl IntoView {
    if sessions.sessions.is_empty() {
        return view! {
            <section class="empty small">
                <h2>"No sessions yet"</h2>
                <p class="quiet">
                    "A session is a conversation with the agent about this workspace. Everything that "
                    "is said and done in it is kept, and it can be continued at any time."
                </p>
            </section>
        }
        .into_any();
    }
    let more = (!sessions.next_page_token.is_empty())
        .then(|| view! { <p class="quiet">"Older sessions are listed by the API."</p> });
    let rows = sessions
        .sessions
        .into_iter()
        .map(|session| view! { <SessionRow session /> });
    view! {
        <section aria-labelledby="sessions-heading">
            <h2 class="section-heading" id="sessions-heading">"Sessions"</h2>
            <ul class="rows">{rows.collect_view()}</ul>
            {more}
        </section>
    }
    .into_any()
}

/// Keeps states and costs up to date while the page is seen.
fn refresh(place: Place) {
    Effect::new(move || {
        let again = move || {
            if !document().hidden() {
                place.sessions.refetch();
            }
        };
        if let Ok(timer) = set_interval_with_handle(again, REFRESH) {
            on_cleanup(move || timer.clear());
        }
    });
}

async fn provider_keys(workspace_id: String) -> Result<pb::ListProviderKeysResponse, ApiError> {
    let request = pb::ListProviderKeysRequest { workspace_id };
    Ok(api::workspaces()
        .list_provider_keys(request)
        .await?
        .into_inner())
}

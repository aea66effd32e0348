//! A session: everything that was said and done, live, and a place to answer.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use membrane_proto::v1 as pb;
use serde::{Deserialize, Serialize};

use crate::{
    api::{self, ApiError, Wire},
    components::rail,
    components::{
        announcer::Announcer,
        composer::ComposerBox,
        problem::{PageProblem, Problem},
        session_head::SessionHead,
        skeleton::Skeleton,
        todos::Todos,
        transcript_view::TranscriptView,
    },
    context::{Place, SessionScope},
    live::Feed,
    stream::Stream,
    title,
};

/// Number of events that a page begins with.
const PAGE: i32 = 200;

/// What the page is rendered with, and goes on from.
#[derive(Clone, Serialize, Deserialize)]
struct Loaded {
    session: Wire<pb::Session>,
    history: Wire<pb::ListEventsResponse>,
}

/// The page.
#[component]
pub fn SessionPage() -> impl IntoView {
    let place = expect_context::<Place>();
    let params = use_params_map();
    let session_id = Memo::new(move |_| params.read().get("session").unwrap_or_default());
    let loaded = Resource::new(move || session_id.get(), |id| api::fit(load(id)));
    view! {
        <Transition fallback=|| {
            view! { <div class="page"><Skeleton lines=8 /></div> }
        }>
            {move || Suspend::new(async move {
                let loaded = loaded.await;
                let workspace = match place.workspace.await {
                    Some(Ok(workspace)) => workspace.0,
                    _ => pb::Workspace::default(),
                };
                match loaded {
                    Ok(loaded) => view! { <SessionView loaded workspace /> }.into_any(),
                    Err(error) => {
                        view! {
                            <Title text="Session" />
                            <div class="page"><PageProblem error /></div>
                        }
                            .into_any()
                    }
                }
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn SessionView(loaded: Loaded, workspace: pb::Workspace) -> impl IntoView {
    let role = workspace.role();
    let settings = workspace.settings.unwrap_or_default();
    let demo = settings.provider() == pb::Provider::Demo;
    provide_context(SessionScope {
        session_id: StoredValue::new(loaded.session.0.id.clone()),
    });
    let feed = Feed::new(loaded.session.0, loaded.history.0);
    let stream = expect_context::<Stream>();
    Effect::new(move || feed.follow(stream));
    keep_rail_fresh(feed);
    let over = move || {
        feed.over.get().map(|error| {
            let lost = "Everything up to here is stored.";
            view! { <Problem error lost /> }
        })
    };
    let title = title::lasting(move || feed.session.try_with(rail::title));
    view! {
        <Title text=title />
        <div class="session">
            <SessionHead feed demo />
            <TranscriptView feed />
            <div class="session-foot">
                {over}
                <Todos todos=feed.todos activity=feed.activity />
                <ComposerBox feed settings role />
            </div>
            <Announcer feed />
        </div>
    }
    .into_any()
}

/// The rail lists sessions with their states and titles, and this one changes.
fn keep_rail_fresh(feed: Feed) {
    let place = expect_context::<Place>();
    Effect::new(move |before: Option<_>| {
        let now = (
            feed.activity.get(),
            feed.session.with(|session| session.title.clone()),
        );
        if before.is_some_and(|before| before != now) {
            place.sessions.refetch();
        }
        now
    });
}

async fn load(session_id: String) -> Result<Loaded, ApiError> {
    let stream = format!("sessions/{session_id}");
    let request = pb::GetSessionRequest { session_id };
    let answer = api::sessions().get_session(request).await?.into_inner();
    let session = answer.session.ok_or_else(ApiError::incomplete)?;
    let request = pb::ListEventsRequest {
        stream,
        before_sequence: session.last_sequence + 1,
        page_size: PAGE,
        ..Default::default()
    };
    let mut history = api::events().list_events(request).await?.into_inner();
    history.events.iter_mut().for_each(lighten);
    Ok(Loaded {
        session: Wire(session),
        history: Wire(history),
    })
}

/// Drops the images that went with a message: they are shown from their files, and may have
/// megabytes, which would travel inside the page.
fn lighten(event: &mut pb::Event) {
    use pb::event_payload::Kind;
    let kind = event
        .payload
        .as_mut()
        .and_then(|payload| payload.kind.as_mut());
    let Some(Kind::UserMessage(message)) = kind else {
        return;
    };
    let images = message
        .attachments
        .iter_mut()
        .filter_map(|one| one.image.as_mut());
    images.for_each(|image| image.data.clear());
}

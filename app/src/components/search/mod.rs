//! A search of a workspace's files: what is asked, what was found so far, and its stream.

use std::time::Duration;

use futures::{
    StreamExt as _,
    future::{AbortHandle, Abortable},
};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_location;
use membrane_proto::v1 as pb;
use serde::{Deserialize, Serialize};

use crate::{
    api::{self, ApiError, Wire},
    search::{FIRST, Found, MOST, Query},
};

pub mod form;
pub mod hits;
pub mod words;

/// How long arrived files may wait to be drawn together with what follows.
const FRAME: Duration = Duration::from_millis(80);
/// How long a page may search before it is sent.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a page is rendered with, and goes on from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Loaded {
    files: Vec<Wire<pb::FileMatches>>,
    summary: Option<Wire<pb::SearchSummary>>,
    problem: Option<ApiError>,
}

/// How a search stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Nothing is asked.
    Resting,
    /// It goes on.
    Searching,
    /// It has ended.
    Done(pb::SearchSummary),
    /// It was refused, or broke off.
    Failed(ApiError),
}

/// The state of the page. Copied into its handlers.
#[derive(Clone, Copy)]
pub struct Search {
    /// The workspace.
    pub workspace_id: StoredValue<String>,
    /// What is asked.
    pub query: RwSignal<Query>,
    /// What was found.
    pub found: RwSignal<Found>,
    /// How it stands.
    pub progress: RwSignal<Progress>,
    /// Whether it has gone on in this page, and not only on the server.
    pub live: RwSignal<bool>,
    arrived: StoredValue<Found>,
    drawing: StoredValue<bool>,
    running: StoredValue<Option<AbortHandle>>,
}

impl Search {
    /// Begins with what the page was rendered with.
    pub fn new(workspace_id: String, query: Query, loaded: Loaded) -> Self {
        let progress = match (loaded.summary, loaded.problem) {
            (_, Some(problem)) => Progress::Failed(problem),
            (Some(summary), None) => Progress::Done(summary.0),
            (None, None) if query.pattern.is_empty() => Progress::Resting,
            (None, None) => Progress::Searching,
        };
        let files = loaded.files.into_iter().map(|file| file.0);
        Self {
            workspace_id: StoredValue::new(workspace_id),
            query: RwSignal::new(query),
            found: RwSignal::new(Found::of(files)),
            progress: RwSignal::new(progress),
            live: RwSignal::new(false),
            arrived: StoredValue::default(),
            drawing: StoredValue::new(false),
            running: StoredValue::new(None),
        }
    }

    /// Searches for what the address says, now and whenever that changes. For pages.
    pub fn follow_address(self) {
        let location = use_location();
        Effect::new(move |before: Option<()>| {
            let query = location.search.with(|search| Query::parse(search));
            let is_here = location.pathname.with(|path| path.ends_with("/search"));
            let is_new = self.query.with_untracked(|now| *now != query);
            if is_here && (is_new || (before.is_none() && !self.is_whole())) {
                self.begin(query);
            }
        });
        on_cleanup(move || self.stop());
    }

    /// Whether there is nothing left that a search could find.
    fn is_whole(self) -> bool {
        self.progress.with_untracked(|progress| match progress {
            Progress::Resting | Progress::Failed(_) => true,
            Progress::Done(summary) => !summary.truncated,
            Progress::Searching => false,
        })
    }

    /// Stops what runs; dropping its stream ends the search on the server.
    fn stop(self) {
        let running = self.running.try_update_value(Option::take).flatten();
        if let Some(running) = running {
            running.abort();
        }
    }

    fn begin(self, query: Query) {
        self.stop();
        self.live.set(true);
        self.query.set(query.clone());
        self.arrived.set_value(Found::default());
        if query.pattern.is_empty() {
            self.found.set(Found::default());
            return self.progress.set(Progress::Resting);
        }
        self.progress.set(Progress::Searching);
        let (handle, registration) = AbortHandle::new_pair();
        self.running.set_value(Some(handle));
        spawn_local(async move {
            let end = Abortable::new(self.run(query), registration).await;
            // Aborted means that another search has begun, or the page went.
            let Ok(end) = end else {
                return;
            };
            self.draw();
            self.progress.try_set(match end {
                Ok(summary) => Progress::Done(summary),
                Err(error) => Progress::Failed(error),
            });
        });
    }

    async fn run(self, query: Query) -> Result<pb::SearchSummary, ApiError> {
        let request = query.to_wire(self.workspace_id.get_value(), MOST);
        let mut parts = api::files().search_files(request).await?.into_inner();
        while let Some(part) = parts.next().await {
            let part = part?;
            let summary = self.arrived.try_update_value(|found| found.take(part));
            if let Some(summary) = summary.flatten() {
                return Ok(summary);
            }
            self.draw_soon();
        }
        Err(ApiError::incomplete())
    }

    fn draw_soon(self) {
        if self.drawing.get_value() {
            return;
        }
        self.drawing.set_value(true);
        set_timeout(
            move || {
                if self.drawing.try_get_value() == Some(true) {
                    self.draw();
                }
            },
            FRAME,
        );
    }

    fn draw(self) {
        self.drawing.try_set_value(false);
        if let Some(arrived) = self.arrived.try_get_value() {
            self.found.try_set(arrived);
        }
    }
}

/// The first hits, for a page that is rendered on the server; a browser searches by itself.
pub async fn load(workspace_id: String, query: Query) -> Loaded {
    let mut loaded = Loaded::default();
    if query.pattern.is_empty() || cfg!(not(feature = "ssr")) {
        return loaded;
    }
    if let Err(error) = first(workspace_id, query, &mut loaded).await {
        // What took too long goes on in the browser.
        loaded.problem = (!error.is_transient()).then_some(error);
    }
    loaded
}

async fn first(workspace_id: String, query: Query, into: &mut Loaded) -> Result<(), ApiError> {
    let request = api::bounded(query.to_wire(workspace_id, FIRST), PATIENCE);
    let mut parts = api::files().search_files(request).await?.into_inner();
    while let Some(part) = parts.next().await {
        use pb::search_files_response::Part;
        match part?.part {
            Some(Part::File(file)) => into.files.push(Wire(file)),
            Some(Part::Summary(summary)) => into.summary = Some(Wire(summary)),
            None => {}
        }
    }
    Ok(())
}

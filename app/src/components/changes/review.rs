//! What the parts of a review share: where it is, what was loaded, and what became of a discard.

use leptos::prelude::*;
use leptos_router::hooks::use_location;
use membrane_proto::v1 as pb;
use serde::{Deserialize, Serialize};

use crate::{
    api::{self, ApiError, Reply, Wire},
    changes::{Address, Layout, Scope},
    context::Place,
};

/// Number of files that are listed at once.
const PAGE: i32 = 500;

/// Below this the list and the file do not fit beside each other.
const NARROW: &str = "(max-width: 760px)";

/// What is said about the scope as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The change set, if it is one and among the latest.
    pub set: Option<Wire<pb::ChangeSet>>,
    /// The session that it belongs to, if it still exists.
    pub session: Option<Wire<pb::Session>>,
    /// The snapshots that are compared; the second is absent for the files as they are now.
    pub snapshots: Vec<Wire<pb::Snapshot>>,
}

/// What became of a discard.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The answer.
    Done(pb::DiscardChangesResponse),
    /// It was refused.
    Refused(ApiError),
}

/// One review.
#[derive(Clone, Copy)]
pub struct Review {
    /// What the page shows.
    pub address: Memo<Option<Address>>,
    /// What is said about the scope.
    pub about: Resource<About>,
    /// A page of its files.
    pub files: Resource<Reply<pb::ListChangesResponse>>,
    /// The diff of the open file; `None` if nothing changed.
    pub diff: Resource<Result<Option<Wire<pb::GetFileDiffResponse>>, ApiError>>,
    /// What became of the latest discard.
    pub outcome: RwSignal<Option<Outcome>>,
    /// Whether the page lives on a screen too small for two columns.
    narrow: RwSignal<bool>,
}

impl Review {
    /// Reads the address and loads what belongs to it.
    pub fn provide() -> Self {
        let location = use_location();
        let address = Memo::new(move |before: Option<&Option<Address>>| {
            let now = Address::parse(&location.pathname.read(), &location.search.read());
            // While another page is on its way, this one shows what it showed.
            now.or_else(|| before.cloned().flatten())
        });
        let scope =
            Memo::new(move |_| Some(address.get()?.with_page("").with_layout(Layout::Unified)));
        let listed = Memo::new(move |_| {
            let address = address.get()?;
            Some(
                address
                    .with_page(&address.page)
                    .with_layout(Layout::Unified),
            )
        });
        let open = Memo::new(move |_| Some(address.get()?.with_layout(Layout::Unified)));
        let review = Self {
            address,
            about: Resource::new(move || scope.get(), |at| api::fit(about(at))),
            files: Resource::new(move || listed.get(), |at| api::load(files(at, PAGE))),
            diff: Resource::new(move || open.get(), |at| api::fit(diff(at))),
            outcome: RwSignal::new(None),
            narrow: RwSignal::new(false),
        };
        review.watch_width();
        provide_context(review);
        review
    }

    /// How the diff is laid out: never side by side where there is no room.
    pub fn layout(self) -> Layout {
        if self.narrow.get() {
            return Layout::Unified;
        }
        self.wanted_layout()
    }

    /// The layout that the address asks for.
    pub fn wanted_layout(self) -> Layout {
        self.address
            .with(|at| at.as_ref().map_or(Layout::Unified, |at| at.layout))
    }

    /// The same without being told when it changes.
    pub fn wanted_layout_untracked(self) -> Layout {
        untrack(|| self.wanted_layout())
    }

    /// Loads again what a discard has changed, and says what became of it.
    pub fn settle(self, outcome: Outcome) {
        self.outcome.set(Some(outcome));
        self.files.refetch();
        self.diff.refetch();
    }

    /// A link that is made of the address.
    pub fn href(self, change: impl Fn(&Address) -> Address) -> String {
        self.address
            .with(|at| at.as_ref().map(|at| change(at).href()))
            .unwrap_or_default()
    }

    fn watch_width(self) {
        Effect::new(move || {
            let look = move || {
                let query = window().match_media(NARROW).ok().flatten();
                let narrow = query.is_some_and(|query| query.matches());
                if self
                    .narrow
                    .try_get_untracked()
                    .is_some_and(|was| was != narrow)
                {
                    self.narrow.set(narrow);
                }
            };
            look();
            let listener = window_event_listener(leptos::ev::resize, move |_| look());
            on_cleanup(move || listener.remove());
        });
    }
}

/// Whether the caller may change files here; not known before the workspace is.
pub async fn may_discard() -> bool {
    let place = expect_context::<Place>();
    match place.workspace.await {
        Some(Ok(workspace)) => matches!(workspace.0.role(), pb::Role::Editor | pb::Role::Owner),
        _ => false,
    }
}

async fn about(address: Option<Address>) -> About {
    let Some(address) = address else {
        return About::default();
    };
    if let Scope::Snapshots(before, after) = &address.scope {
        return compared(&address.workspace_id, [Some(before), after.as_ref()]).await;
    }
    let set = match &address.scope {
        Scope::Set(id) => change_set(&address.workspace_id, id).await,
        _ => None,
    };
    let session_id = match (&address.scope, &set) {
        (Scope::Session(id), _) => id.clone(),
        (_, Some(set)) => set.session_id.clone(),
        (_, None) => String::new(),
    };
    let request = pb::GetSessionRequest { session_id };
    let session = api::sessions().get_session(request).await;
    About {
        set: set.map(Wire),
        session: session
            .ok()
            .and_then(|answer| answer.into_inner().session)
            .map(Wire),
        snapshots: Vec::new(),
    }
}

async fn compared(workspace_id: &str, ids: [Option<&String>; 2]) -> About {
    let mut snapshots = Vec::new();
    for id in ids.into_iter().flatten() {
        let request = pb::GetSnapshotRequest {
            workspace_id: workspace_id.to_owned(),
            snapshot_id: id.clone(),
        };
        let answer = api::snapshots().get_snapshot(request).await;
        snapshots.extend(answer.ok().and_then(|answer| answer.into_inner().snapshot));
    }
    About {
        snapshots: snapshots.into_iter().map(Wire).collect(),
        ..About::default()
    }
}

async fn change_set(workspace_id: &str, id: &str) -> Option<pb::ChangeSet> {
    let request = pb::GetChangeSetRequest {
        workspace_id: workspace_id.to_owned(),
        change_set_id: id.to_owned(),
    };
    let answer = api::changes().get_change_set(request).await.ok()?;
    answer.into_inner().change_set
}

async fn files(
    address: Option<Address>,
    page_size: i32,
) -> Result<pb::ListChangesResponse, ApiError> {
    let Some(address) = address else {
        return Ok(pb::ListChangesResponse::default());
    };
    let request = pb::ListChangesRequest {
        workspace_id: address.workspace_id,
        scope: Some(address.scope.to_wire()),
        page_size,
        page_token: address.page,
    };
    Ok(api::changes().list_changes(request).await?.into_inner())
}

async fn diff(address: Option<Address>) -> Result<Option<Wire<pb::GetFileDiffResponse>>, ApiError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let path = match address.file.clone() {
        Some(path) => path,
        None => match files(Some(address.clone()), 1).await?.changes.pop() {
            Some(first) => first.path,
            None => return Ok(None),
        },
    };
    let request = pb::GetFileDiffRequest {
        workspace_id: address.workspace_id,
        scope: Some(address.scope.to_wire()),
        path,
        context_lines: address.around.lines(),
    };
    let answer = api::changes().get_file_diff(request).await?.into_inner();
    Ok(Some(Wire(answer)))
}

//! The parts of the console that a browser fetches when they are needed. What is called from here
//! and from nowhere else goes into a wasm file of the part's name; `bundle.mjs` cuts it off. A server
//! has all of them.

use std::time::Duration;

use futures::FutureExt as _;
use leptos::{ev, prelude::*, task::spawn_local};
use wasm_bindgen::JsCast as _;
use wasm_split_helpers::SplitLoaderError;

use crate::{
    api::ApiError,
    browser,
    components::{
        files::UploadPanel,
        problem::Problem,
        runs::detail::RunDetail,
        schedules::{detail::SchedulePage, list::SchedulesPage},
        skeleton::Skeleton,
    },
    pages::{
        account::Account, activity::ActivityPage, change_sets::ChangeSets, changes::Changes,
        edit::EditPage, files::FilesPage, home::Home, new_workspace::NewWorkspace, runs::RunsPage,
        search::SearchPage, secrets::SecretsPage, session::SessionPage, settings::Settings,
        snapshots::SnapshotsPage, trash::TrashPage,
    },
};

/// How long a page has been looked at before what its links lead to is fetched.
const AHEAD: Duration = Duration::from_secs(2);

/// What is fetched when it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lazy {
    /// The caller's own page.
    Account,
    /// What happened at the boundary of a workspace.
    Activity,
    /// The changes of a session or a change set.
    Changes,
    /// The change sets of a workspace.
    ChangeSets,
    /// A file to be edited.
    Edit,
    /// The files of a workspace.
    Files,
    /// A workspace's own page.
    Home,
    /// The form for a new workspace.
    NewWorkspace,
    /// A run.
    Run,
    /// The runs of a workspace.
    Runs,
    /// A schedule.
    Schedule,
    /// The schedules of a workspace.
    Schedules,
    /// A search in the files of a workspace.
    Search,
    /// The caller's secrets.
    Secrets,
    /// A session.
    Session,
    /// A workspace's settings.
    Settings,
    /// The snapshots of a workspace.
    Snapshots,
    /// What was deleted from a workspace.
    Trash,
    /// No page: the files on their way.
    Uploads,
}

/// Makes a part of some views: a function that waits for it and returns the view that is asked for,
/// and one that only fetches it.
macro_rules! part {
    ($name:ident, $fetch:ident: $($view:ident => $component:ident),+) => {
        #[cfg(feature = "hydrate")]
        #[wasm_split_helpers::wasm_split($name, preload($fetch), fallible)]
        fn $name(view: Lazy) -> Result<AnyView, SplitLoaderError> {
            Ok(match view {
                $(Lazy::$view => $component().into_any(),)+
                _ => ().into_any(),
            })
        }

        #[cfg(not(feature = "hydrate"))]
        async fn $name(view: Lazy) -> Result<AnyView, SplitLoaderError> {
            Ok(match view {
                $(Lazy::$view => $component().into_any(),)+
                _ => ().into_any(),
            })
        }

        #[cfg(not(feature = "hydrate"))]
        async fn $fetch() -> Result<(), SplitLoaderError> {
            Ok(())
        }
    };
}

part!(changes, fetch_changes: Changes => Changes, ChangeSets => ChangeSets,
    Snapshots => SnapshotsPage);
part!(runs, fetch_runs: Run => RunDetail, Runs => RunsPage, Schedule => SchedulePage,
    Schedules => SchedulesPage);
part!(files, fetch_files:
    Edit => EditPage, Files => FilesPage, Search => SearchPage, Trash => TrashPage,
    Uploads => UploadPanel);
part!(session, fetch_session: Session => SessionPage);
part!(settings, fetch_settings:
    Account => Account, Activity => ActivityPage, Home => Home, NewWorkspace => NewWorkspace,
    Secrets => SecretsPage, Settings => Settings);

impl Lazy {
    /// What an address shows, unless that is there from the start.
    pub fn at(path: &str) -> Option<Self> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        match (names.next()?, names.next(), names.next()) {
            ("account", None, _) => Some(Self::Account),
            ("account", Some("secrets"), None) => Some(Self::Secrets),
            ("workspaces", Some("new"), None) => Some(Self::NewWorkspace),
            ("workspaces", Some(_), None) => Some(Self::Home),
            ("workspaces", Some(_), Some(below)) => Self::below(below, names.count()),
            _ => None,
        }
    }

    /// What a page of a workspace is, with so many names in the address after its own.
    fn below(page: &str, more: usize) -> Option<Self> {
        match (page, more) {
            ("activity", 0) => Some(Self::Activity),
            ("changes", 0) => Some(Self::ChangeSets),
            ("changes", _) => Some(Self::Changes),
            ("edit", _) => Some(Self::Edit),
            ("files", _) => Some(Self::Files),
            ("runs", 0) => Some(Self::Runs),
            ("runs", 1) => Some(Self::Run),
            ("schedules", 0) => Some(Self::Schedules),
            ("schedules", 1) => Some(Self::Schedule),
            ("search", 0) => Some(Self::Search),
            ("sessions", 1) => Some(Self::Session),
            ("sessions", _) => Some(Self::Changes),
            ("settings", _) => Some(Self::Settings),
            ("snapshots", 0) => Some(Self::Snapshots),
            ("snapshots", _) => Some(Self::Changes),
            ("trash", _) => Some(Self::Trash),
            _ => None,
        }
    }

    /// The part that it is in.
    pub fn part(self) -> &'static str {
        match self {
            Self::Changes | Self::ChangeSets | Self::Snapshots => "changes",
            Self::Run | Self::Runs | Self::Schedule | Self::Schedules => "runs",
            Self::Edit | Self::Files | Self::Search | Self::Trash | Self::Uploads => "files",
            Self::Session => "session",
            Self::Account
            | Self::Activity
            | Self::Home
            | Self::NewWorkspace
            | Self::Secrets
            | Self::Settings => "settings",
        }
    }

    /// Fetches its part, unless that is done.
    ///
    /// # Errors
    /// When it can't be fetched now. A later call tries again.
    pub async fn fetch(self) -> Result<(), SplitLoaderError> {
        match self.part() {
            "changes" => fetch_changes().await,
            "runs" => fetch_runs().await,
            "files" => fetch_files().await,
            "session" => fetch_session().await,
            _ => fetch_settings().await,
        }
    }

    async fn view(self) -> Result<AnyView, SplitLoaderError> {
        match self.part() {
            "changes" => changes(self).await,
            "runs" => runs(self).await,
            "files" => files(self).await,
            "session" => session(self).await,
            _ => settings(self).await,
        }
    }

    /// Its view if its part is there.
    fn at_once(self) -> Option<AnyView> {
        self.view().now_or_never()?.ok()
    }
}

/// Fetches the part of the page that the server has rendered, before it is taken over.
///
/// # Errors
/// When it can't be fetched.
pub async fn fetch_first() -> Result<(), SplitLoaderError> {
    let path = window().location().pathname().unwrap_or_default();
    match Lazy::at(&path) {
        Some(lazy) => lazy.fetch().await,
        None => Ok(()),
    }
}

/// Fetches parts before they are needed: when a link to them is pointed at or has the focus, and all
/// that a page links to once it has been looked at for a while, unless the browser saves data.
pub fn fetch_ahead(pathname: Memo<String>) {
    Effect::new(|| {
        let pointed = window_event_listener(ev::pointerover, |event| ahead_of(&event));
        let focused = window_event_listener(ev::focusin, |event| ahead_of(&event));
        on_cleanup(move || {
            pointed.remove();
            focused.remove();
        });
    });
    Effect::new(move || {
        pathname.track();
        if let Ok(timer) = set_timeout_with_handle(ahead_of_all, AHEAD) {
            on_cleanup(move || timer.clear());
        }
    });
}

fn ahead_of(event: &web_sys::Event) {
    let pointed = browser::target::<web_sys::Element>(event);
    if let Some(Ok(Some(link))) = pointed.map(|element| element.closest("a[href]")) {
        ahead_of_link(&link);
    }
}

fn ahead_of_all() {
    if browser::saves_data() {
        return;
    }
    let links = document().query_selector_all("a[href]");
    let links = links
        .iter()
        .flat_map(|links| (0..links.length()).filter_map(|at| links.item(at)));
    for link in links.filter_map(|link| link.dyn_into().ok()) {
        ahead_of_link(&link);
    }
}

fn ahead_of_link(link: &web_sys::Element) {
    if browser::is_offline() {
        return;
    }
    let address = link.get_attribute("href").unwrap_or_default();
    let path = address.split(['?', '#']).next().unwrap_or_default();
    if let Some(lazy) = Lazy::at(path) {
        // Who then follows the link is told if it is still not there.
        spawn_local(lazy.fetch().map(drop));
    }
}

/// A view for a route. All have one type, so that the router is not compiled for each.
pub fn page(lazy: Lazy) -> impl Fn() -> AnyView + Clone + Send + 'static {
    move || show(lazy)
}

/// Its view at once if its part is there, as it always is on a server and while a page is taken over;
/// otherwise grey lines until it has come.
pub fn show(lazy: Lazy) -> AnyView {
    if let Some(view) = lazy.at_once() {
        return view;
    }
    let came = RwSignal::new(None);
    spawn_local(async move {
        let result = lazy.fetch().await;
        came.try_set(Some(result.is_ok()));
    });
    let shown = move || match came.get() {
        Some(true) => lazy.at_once().unwrap_or_else(lost),
        Some(false) => lost(),
        None => waiting(lazy),
    };
    shown.into_any()
}

fn waiting(lazy: Lazy) -> AnyView {
    if lazy == Lazy::Uploads {
        return ().into_any();
    }
    view! { <div class="page"><Skeleton lines=8 /></div> }.into_any()
}

fn lost() -> AnyView {
    let words = "A part of the console could not be fetched. The server may have been updated, or the \
                 connection is lost.";
    let error = ApiError::local("PART_NOT_FETCHED", words);
    view! { <div class="page"><Problem error /></div> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::Lazy;

    #[test]
    fn an_address_names_what_it_shows() {
        for (path, lazy) in [
            ("/account", Lazy::Account),
            ("/account/secrets", Lazy::Secrets),
            ("/workspaces/new", Lazy::NewWorkspace),
            ("/workspaces/w", Lazy::Home),
            ("/workspaces/w/settings", Lazy::Settings),
            ("/workspaces/w/activity", Lazy::Activity),
            ("/workspaces/w/files", Lazy::Files),
            ("/workspaces/w/files/a/b", Lazy::Files),
            ("/workspaces/w/edit/a/b", Lazy::Edit),
            ("/workspaces/w/search", Lazy::Search),
            ("/workspaces/w/trash", Lazy::Trash),
            ("/workspaces/w/schedules", Lazy::Schedules),
            ("/workspaces/w/schedules/s", Lazy::Schedule),
            ("/workspaces/w/changes", Lazy::ChangeSets),
            ("/workspaces/w/changes/s", Lazy::Changes),
            ("/workspaces/w/sessions/s", Lazy::Session),
            ("/workspaces/w/sessions/s/changes", Lazy::Changes),
        ] {
            assert_eq!(Lazy::at(path), Some(lazy), "{path}");
        }
        for path in [
            "/",
            "/sign-in",
            "/account/else",
            "/elsewhere",
            "https://else.example/",
        ] {
            assert_eq!(Lazy::at(path), None, "{path}");
        }
    }
}

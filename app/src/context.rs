//! What every page shares: the time, the state of the live connection, and who is asking where.

use std::time::Duration;

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use crate::{
    api::{self, Reply},
    browser,
};

/// The time for relative dates; unknown until the page lives in a browser, so that the server
/// and the first render in the browser agree.
#[derive(Clone, Copy)]
pub struct Clock(RwSignal<Option<i64>>);

impl Clock {
    /// Starts the page's clock.
    pub fn provide() {
        let clock = Self(RwSignal::new(None));
        provide_context(clock);
        Effect::new(move || {
            clock.0.set(Some(browser::now()));
            let tick = move || clock.0.set(Some(browser::now()));
            if let Ok(timer) = set_interval_with_handle(tick, Duration::from_secs(20)) {
                on_cleanup(move || timer.clear());
            }
        });
    }

    /// Seconds since 1970, if known; tracked.
    pub fn now(self) -> Option<i64> {
        self.0.get()
    }
}

/// How the live connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// No page asks for live events.
    Resting,
    /// The first connection is being made.
    Connecting,
    /// Events arrive.
    Live,
    /// It broke at this time, and is being made again.
    Broken {
        /// Seconds since 1970.
        since: i64,
    },
}

/// The live connection's state, and whether it has been broken long enough to say so loudly.
#[derive(Clone, Copy)]
pub struct Connection {
    link: RwSignal<Link>,
    banner: RwSignal<bool>,
    offline: RwSignal<bool>,
}

impl Connection {
    /// Provides the state to all pages.
    pub fn provide() {
        let connection = Self {
            link: RwSignal::new(Link::Resting),
            banner: RwSignal::new(false),
            offline: RwSignal::new(false),
        };
        provide_context(connection);
        Effect::new(move || {
            for name in ["online", "offline"] {
                browser::listen(&window(), name, move || {
                    connection.offline.set(browser::is_offline());
                });
            }
            connection.offline.set(browser::is_offline());
        });
    }

    /// How it is doing; tracked.
    pub fn link(self) -> Link {
        self.link.get()
    }

    /// Whether the browser has no network at all; tracked.
    pub fn is_offline(self) -> bool {
        self.offline.get()
    }

    /// Whether to say on the page that it is broken; tracked.
    pub fn banner(self) -> bool {
        self.banner.get()
    }

    /// Sets how it is doing. A short break stays quiet.
    pub fn set(self, link: Link) {
        let broken = |link| matches!(link, Link::Broken { .. });
        let was = self.link.get_untracked();
        if was == link || (broken(was) && broken(link)) {
            return;
        }
        self.link.set(link);
        if !broken(link) {
            return self.banner.set(false);
        }
        let loud = move || {
            if self.link.try_get_untracked() == Some(link) {
                self.banner.set(true);
            }
        };
        set_timeout(loud, Duration::from_secs(2));
    }
}

/// The session whose page is open.
#[derive(Clone, Copy)]
pub struct SessionScope {
    /// Its id.
    pub session_id: StoredValue<String>,
}

/// Who is asking, and the workspace whose page is open.
#[derive(Clone, Copy)]
pub struct Place {
    /// The calling user and what this server enforces.
    pub me: Resource<Reply<pb::GetMeResponse>>,
    /// Id of the workspace in the address.
    pub workspace_id: Memo<Option<String>>,
    /// That workspace.
    pub workspace: Resource<Option<Reply<pb::Workspace>>>,
    /// Its sessions, the most recently active first.
    pub sessions: Resource<Option<Reply<pb::ListSessionsResponse>>>,
}

impl Place {
    /// Reads the address and loads what belongs to it.
    pub fn provide(pathname: Memo<String>) -> Self {
        let workspace_id = Memo::new(move |_| workspace_in(&pathname.get()));
        let place = Self {
            me: Resource::new(|| (), |()| api::load(me())),
            workspace_id,
            workspace: Resource::new(
                move || workspace_id.get(),
                |id| async move { Some(api::load(workspace(id?)).await) },
            ),
            sessions: Resource::new(
                move || workspace_id.get(),
                |id| async move { Some(api::load(sessions(id?)).await) },
            ),
        };
        provide_context(place);
        place
    }
}

fn workspace_in(path: &str) -> Option<String> {
    let mut parts = path.trim_start_matches('/').split('/');
    let id = (parts.next() == Some("workspaces")).then(|| parts.next())??;
    (!id.is_empty() && id != "new").then(|| id.to_owned())
}

async fn me() -> Result<pb::GetMeResponse, api::ApiError> {
    Ok(api::accounts()
        .get_me(pb::GetMeRequest {})
        .await?
        .into_inner())
}

async fn workspace(workspace_id: String) -> Result<pb::Workspace, api::ApiError> {
    let request = pb::GetWorkspaceRequest { workspace_id };
    let answer = api::workspaces().get_workspace(request).await?.into_inner();
    answer.workspace.ok_or_else(api::ApiError::incomplete)
}

async fn sessions(workspace_id: String) -> Result<pb::ListSessionsResponse, api::ApiError> {
    let request = pb::ListSessionsRequest {
        workspace_id,
        page_size: 50,
        ..Default::default()
    };
    Ok(api::sessions().list_sessions(request).await?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::workspace_in;

    #[test]
    fn the_address_names_the_workspace() {
        assert_eq!(
            workspace_in("/workspaces/abc/sessions/d").as_deref(),
            Some("abc")
        );
        assert_eq!(workspace_in("/workspaces/abc").as_deref(), Some("abc"));
        for other in [
            "/",
            "/workspaces",
            "/workspaces/",
            "/workspaces/new",
            "/account",
        ] {
            assert_eq!(workspace_in(other), None, "{other}");
        }
    }
}

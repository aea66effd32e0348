//! Keeps the directories on the page up to date: one watch of those that are shown, begun again
//! when others are shown and when it breaks.

use std::time::Duration;

use futures::future::{AbortHandle, Abortable};
use leptos::{ev::visibilitychange, prelude::*, task::spawn_local};
use membrane_proto::v1::{self as pb, watch_response::Kind};

use super::{Files, Shown, Task};
use crate::{
    api::{self, ApiError},
    browser, path,
};

/// Directories that one watch takes.
const MAX_WATCHED: usize = 64;
/// A directory of which more entries are loaded is not read again by itself.
const MAX_RELOADED: usize = 500;
/// How long to wait for more directories to be opened before the watch begins again.
const GATHER: Duration = Duration::from_millis(200);
/// Longest wait before a broken watch is begun again.
const MAX_BACKOFF: Duration = Duration::from_secs(15);

impl Files {
    /// Follows what agents and other people do in the directories that are shown, until the page
    /// goes.
    pub fn follow(self) {
        let watched = Memo::new(move |_| self.watched());
        Effect::new(move || {
            let paths = watched.get();
            let (handle, registration) = AbortHandle::new_pair();
            spawn_local(async move {
                // Aborted means that other directories are shown, or that the page went.
                let _ = Abortable::new(self.keep_watching(paths), registration).await;
            });
            on_cleanup(move || handle.abort());
        });
        Effect::new(move || {
            self.task.track();
            self.reload_stale();
        });
        let listener = window_event_listener(visibilitychange, move |_| self.reload_stale());
        on_cleanup(move || listener.remove());
    }

    /// The directory that is looked at, and those that are open in the tree; tracked.
    fn watched(self) -> Vec<String> {
        let place = self.shown.with(|shown| match shown {
            Shown::Directory(path) => path.clone(),
            other => path::parent(other.path()).to_owned(),
        });
        let mut open = self.open.with(|open| {
            let visible = |path: &&String| {
                path::ancestors(path)
                    .iter()
                    .all(|above| above.is_empty() || open.contains(*above))
            };
            open.iter().filter(visible).cloned().collect::<Vec<_>>()
        });
        open.retain(|path| *path != place && !path.is_empty());
        open.sort_unstable();
        let mut paths = vec![place];
        if !paths[0].is_empty() {
            paths.push(String::new());
        }
        paths.extend(open);
        paths.truncate(MAX_WATCHED);
        paths
    }

    async fn keep_watching(self, paths: Vec<String>) {
        browser::sleep(GATHER).await;
        let mut wait = Duration::from_millis(500);
        loop {
            match self.watch_once(&paths).await {
                Ok(()) => wait = Duration::from_millis(500),
                Err(error) if error.is_transient() => wait = (wait * 2).min(MAX_BACKOFF),
                // The page says the same of itself as soon as anything is done on it.
                Err(_) => return,
            }
            browser::sleep(wait.mul_f64(0.5 + browser::jitter() / 2.0)).await;
        }
    }

    /// One watch from where it begins to where it breaks, if it has begun.
    async fn watch_once(self, paths: &[String]) -> Result<(), ApiError> {
        let Some(workspace_id) = self.workspace_id.try_get_value() else {
            return Ok(());
        };
        let directory = |path: &String| pb::WatchedDirectory {
            workspace_id: workspace_id.clone(),
            path: path.clone(),
        };
        let request = pb::WatchRequest {
            directories: paths.iter().map(directory).collect(),
            ..Default::default()
        };
        let mut watch = api::events().watch(request).await?.into_inner();
        while let Ok(Some(message)) = watch.message().await {
            if let Some(Kind::FilesChanged(changed)) = message.kind {
                self.stale
                    .try_update_value(|stale| stale.insert(changed.path));
                self.reload_stale();
            }
        }
        Ok(())
    }

    /// Reads again what has changed. Somebody who is in the middle of something is not disturbed,
    /// and nobody reads what nobody looks at.
    fn reload_stale(self) {
        let idle = self.task.try_with_untracked(|task| *task == Task::None);
        if idle != Some(true) || document().hidden() {
            return;
        }
        let stale = self.stale.try_update_value(std::mem::take);
        for path in stale.unwrap_or_default() {
            if self.loaded_count(&path) <= MAX_RELOADED {
                spawn_local(self.reload_known([path]));
            }
        }
    }
}

//! Keeps the directories on the page up to date: those that are shown are watched, through the one
//! stream of the browser.

use std::collections::HashMap;

use leptos::{ev::visibilitychange, prelude::*, task::spawn_local};

use super::{Files, Shown, Task};
use crate::{
    path,
    stream::{Item, Stream, Topic},
};

/// Directories that one page watches. The stream has room for twice as many topics, which all tabs
/// of a browser share.
const MAX_WATCHED: usize = 32;
/// A directory of which more entries are loaded is not read again by itself.
const MAX_RELOADED: usize = 500;

impl Files {
    /// Follows what agents and other people do in the directories that are shown, until the page
    /// goes.
    pub fn follow(self) {
        let stream = expect_context::<Stream>();
        let page = Owner::current().unwrap_or_default();
        let watched = Memo::new(move |_| self.watched());
        Effect::new(move |watches: Option<HashMap<String, Owner>>| {
            let mut before = watches.unwrap_or_default();
            let paths = watched.get().into_iter();
            let watches = paths.map(|path| {
                let kept = before.remove(&path);
                let watch = kept.unwrap_or_else(|| self.watch(stream, &page, path.clone()));
                (path, watch)
            });
            let watches = watches.collect();
            before.into_values().for_each(|gone| gone.cleanup());
            watches
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

    /// Watches a directory until what this returns is cleaned up, or the page goes.
    fn watch(self, stream: Stream, page: &Owner, path: String) -> Owner {
        let owner = page.child();
        let Some(workspace_id) = self.workspace_id.try_get_value() else {
            return owner;
        };
        let topic = Topic::directory(&workspace_id, &path);
        owner.with(|| {
            stream.watch(topic, 0, move |item| {
                if item == Item::FilesChanged {
                    let path = path.clone();
                    self.stale.try_update_value(|stale| stale.insert(path));
                    self.reload_stale();
                }
            });
        });
        owner
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

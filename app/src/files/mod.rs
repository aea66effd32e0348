//! The files of the workspace whose page is open: what is known of its tree, what is shown beside
//! it, and everything that can be done to an entry.

use std::{collections::HashSet, sync::Arc};

use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use crate::{api::ApiError, components::toasts::Toasts, path};

mod attachments;
mod content;
mod drop;
mod load;
mod operations;
mod send;
pub mod tree;
pub mod uploads;
mod watch;
pub mod window;

pub use attachments::{Attached, Attachments};
pub use content::{Cell, Content, Part};
pub use drop::{dropped, walk};
pub use load::{Loaded, Shown, load, preview};
use tree::{Directories, Directory};

/// What somebody is about to do in the list of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// Nothing but reading.
    #[default]
    None,
    /// Naming a new file, or a new directory.
    Create {
        /// Whether it is a directory.
        directory: bool,
    },
    /// Choosing what to do to an entry.
    Choose(String),
    /// Giving an entry another name.
    Rename(String),
    /// Giving an entry, or a copy of it, another place.
    Place {
        /// The entry.
        path: String,
        /// Whether it stays where it is, too.
        copy: bool,
    },
}

/// The state of the page. Copied into its handlers.
#[derive(Clone, Copy)]
pub struct Files {
    /// The workspace.
    pub workspace_id: StoredValue<String>,
    /// Whether the caller may change anything.
    pub may_write: bool,
    /// What is known of the tree.
    pub directories: RwSignal<Directories>,
    /// Which directories are open in the tree.
    pub open: RwSignal<HashSet<String>>,
    /// What is shown beside the tree.
    pub shown: RwSignal<Shown>,
    /// What somebody is about to do.
    pub task: RwSignal<Task>,
    /// Why the last thing that was done has failed.
    pub problem: RwSignal<Option<ApiError>>,
    go: Callback<String>,
    /// What was asked for last.
    wanted: StoredValue<(String, bool)>,
    /// Directories whose next page is on its way.
    reading: StoredValue<HashSet<String>>,
    /// Directories that have changed and are not read again yet.
    stale: StoredValue<HashSet<String>>,
    toasts: Toasts,
}

impl Files {
    /// Begins with what the page was rendered with.
    pub fn new(
        workspace_id: String,
        may_write: bool,
        loaded: Loaded,
        go: Callback<String>,
    ) -> Self {
        let open = loaded.shown.open().map(str::to_owned).collect();
        Self {
            workspace_id: StoredValue::new(workspace_id),
            may_write,
            directories: RwSignal::new(loaded.directories()),
            open: RwSignal::new(open),
            shown: RwSignal::new(loaded.shown),
            task: RwSignal::new(Task::None),
            problem: RwSignal::new(None),
            go,
            wanted: StoredValue::default(),
            reading: StoredValue::default(),
            stale: StoredValue::default(),
            toasts: expect_context(),
        }
    }

    /// Address of an entry's page.
    pub fn address(self, path: &str) -> String {
        self.workspace_id.with_value(|id| path::address(id, path))
    }

    /// Goes to an address of this console.
    pub fn go(self, address: String) {
        self.go.run(address);
    }

    /// Path of the directory that is shown, or that the shown file is in.
    pub fn place(self) -> String {
        self.shown.with_untracked(|shown| match shown {
            Shown::Directory(path) => path.clone(),
            other => path::parent(other.path()).to_owned(),
        })
    }

    /// Shows another entry, or its source, and opens the tree down to it.
    pub fn show(self, path: String, source: bool) {
        self.task.set(Task::None);
        self.problem.set(None);
        self.wanted.set_value((path.clone(), source));
        spawn_local(async move {
            let id = self.workspace_id.get_value();
            let asked = (path.clone(), source);
            let known = |path: &str| {
                let known = self.known(path);
                known.is_some_and(|known| known.problem.is_none())
            };
            let loaded = load(id, path, source, known).await;
            // Answers may overtake each other.
            if self.wanted.try_get_value() != Some(asked) {
                return;
            }
            self.open.try_update(|open| {
                open.extend(loaded.shown.open().map(str::to_owned));
            });
            self.directories
                .try_update(|known| known.extend(loaded.directories()));
            self.shown.try_set(loaded.shown);
        });
    }

    /// Opens or closes a directory of the tree.
    pub fn toggle(self, path: &str) {
        let opened = self.open.try_update(|open| {
            let opened = !open.remove(path);
            if opened {
                open.insert(path.to_owned());
            }
            opened
        });
        if opened == Some(true) {
            self.read(path.to_owned());
        }
    }

    /// Reads a directory unless it is known.
    pub fn read(self, path: String) {
        let known = self.known(&path);
        if known.is_none_or(|known| known.problem.is_some()) {
            spawn_local(self.reload(path));
        }
    }

    /// Paths of the directories in a directory, as far as they are known; tracked.
    pub fn directories_in(self, path: &str) -> Vec<String> {
        let path = path.trim_end_matches('/');
        self.directories.with(|known| {
            let files = known.get(path).map(|directory| directory.files.iter());
            let directories = files
                .into_iter()
                .flatten()
                .filter(|file| file.kind() == pb::FileKind::Directory);
            directories.map(|file| file.path.clone()).collect()
        })
    }

    /// Reads the next page of a directory, unless that is under way.
    pub fn more(self, path: String) {
        let is_first = self
            .reading
            .try_update_value(|reading| reading.insert(path.clone()));
        if is_first != Some(true) {
            return;
        }
        spawn_local(async move {
            self.next_page(path.clone()).await;
            self.reading
                .try_update_value(|reading| reading.remove(&path));
        });
    }

    async fn next_page(self, path: String) {
        let Some(known) = self.known(&path).filter(|known| !known.next.is_empty()) else {
            return;
        };
        let Some(id) = self.workspace_id.try_get_value() else {
            return;
        };
        let page = load::page(id, path.clone(), known.next.clone()).await;
        // Whoever else has read it meanwhile was faster.
        if self.known(&path).map(|now| now.next) != Some(known.next) {
            return;
        }
        self.directories.try_update(|all| {
            let directory = all.entry(path).or_default();
            match page {
                Ok(page) => {
                    directory.next = page.next_page_token;
                    directory.files.extend(page.files.into_iter().map(Arc::new));
                }
                Err(problem) => {
                    directory.next.clear();
                    self.problem.try_set(Some(problem));
                }
            }
        });
    }

    fn known(self, path: &str) -> Option<Directory> {
        let known = self
            .directories
            .try_with_untracked(|known| known.get(path).cloned());
        known.flatten()
    }

    /// Number of entries of a directory that are loaded.
    pub fn loaded_count(self, path: &str) -> usize {
        let known = self
            .directories
            .try_with_untracked(|known| known.get(path).map(|known| known.files.len()));
        known.flatten().unwrap_or_default()
    }

    /// Reads a directory anew, as far as it was loaded.
    pub async fn reload(self, path: String) {
        let wanted = self.loaded_count(&path);
        let Some(id) = self.workspace_id.try_get_value() else {
            return;
        };
        let now = load::directory(id, path.clone(), wanted).await;
        if self.known(&path).as_ref() != Some(&now) {
            self.directories.try_update(|known| known.insert(path, now));
        }
    }

    /// Reads the known ones of some directories anew.
    pub async fn reload_known(self, paths: impl IntoIterator<Item = String>) {
        for path in paths {
            if self.known(&path).is_some() {
                self.reload(path).await;
            }
        }
    }
}

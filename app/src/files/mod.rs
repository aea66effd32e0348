//! The files of the workspace whose page is open: what is known of its tree, what is shown beside
//! it, and everything that can be done to an entry.

use std::{collections::HashSet, sync::Arc};

use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use crate::{
    api::{self, ApiError},
    components::toasts::Toasts,
    path,
};

mod drop;
mod load;
mod send;
pub mod tree;
pub mod uploads;
pub mod window;

pub use drop::{dropped, walk};
pub use load::{Content, Loaded, Shown, load};
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
    /// The path that was asked for last.
    wanted: StoredValue<String>,
    /// Directories whose next page is on its way.
    reading: StoredValue<HashSet<String>>,
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

    /// Shows another entry, and opens the tree down to it.
    pub fn show(self, path: String) {
        self.task.set(Task::None);
        self.problem.set(None);
        self.wanted.set_value(path.clone());
        spawn_local(async move {
            let id = self.workspace_id.get_value();
            let asked = path.clone();
            let known = |path: &str| {
                let known = self.known(path);
                known.is_some_and(|known| known.problem.is_none())
            };
            let loaded = load(id, path, known).await;
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

    /// Reads a directory anew, as far as it was loaded.
    pub async fn reload(self, path: String) {
        let wanted = self.known(&path).map_or(0, |known| known.files.len());
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

    /// Makes an empty file or a directory.
    pub async fn create(self, path: String, directory: bool) -> Result<(), ApiError> {
        let workspace_id = self.workspace_id.get_value();
        if directory {
            let request = pb::CreateDirectoryRequest {
                workspace_id,
                path: path.clone(),
            };
            api::files().create_directory(request).await?;
        } else {
            let request = pb::WriteFileRequest {
                workspace_id,
                path: path.clone(),
                create_only: true,
                ..Default::default()
            };
            api::files().write_file(request).await?;
        }
        self.changed(&[&path]).await;
        Ok(())
    }

    /// Moves an entry, or copies it.
    pub async fn put(self, path: String, new_path: String, copy: bool) -> Result<(), ApiError> {
        let workspace_id = self.workspace_id.get_value();
        if copy {
            let request = pb::CopyFileRequest {
                workspace_id,
                path: path.clone(),
                new_path: new_path.clone(),
            };
            api::files().copy_file(request).await?;
        } else {
            let request = pb::MoveFileRequest {
                workspace_id,
                path: path.clone(),
                new_path: new_path.clone(),
                etag: String::new(),
            };
            api::files().move_file(request).await?;
        }
        self.changed(&[&path, &new_path]).await;
        if !copy {
            self.leave(&path, &new_path);
        }
        Ok(())
    }

    /// Deletes an entry, and offers to take that back.
    pub async fn delete(self, path: String) -> Result<(), ApiError> {
        let request = pb::DeleteFileRequest {
            workspace_id: self.workspace_id.get_value(),
            path: path.clone(),
            etag: String::new(),
        };
        let answer = api::files().delete_file(request).await?.into_inner();
        let id = answer.item.unwrap_or_default().id;
        let words = format!("Deleted {}", path::shown(path::name(&path)));
        let gone = path.clone();
        self.toasts.offer(words, "Undo", move || {
            spawn_local(self.restore(id.clone(), gone.clone()));
        });
        self.changed(&[&path]).await;
        self.leave(&path, path::parent(&path));
        Ok(())
    }

    /// Goes elsewhere if what is shown is no longer there.
    fn leave(self, gone: &str, instead: &str) {
        let is_shown = |shown: &Shown| path::is_within(shown.path(), gone);
        if self.shown.try_with_untracked(is_shown) == Some(true) {
            self.go(self.address(instead));
        }
    }

    async fn restore(self, trash_item_id: String, path: String) {
        // The page may be gone while the offer still stands.
        let Some(workspace_id) = self.workspace_id.try_get_value() else {
            return self
                .toasts
                .say("Restore it from the trash of its workspace.".to_owned());
        };
        let request = pb::RestoreFileRequest {
            workspace_id,
            trash_item_id,
            path: String::new(),
        };
        match api::files().restore_file(request).await {
            Ok(_) => {
                let words = format!("{} is back", path::shown(path::name(&path)));
                self.toasts.say(words);
                self.changed(&[&path]).await;
            }
            Err(status) => self.toasts.say(ApiError::from(status).message),
        }
    }

    /// Says that something was done.
    pub fn say(self, words: String) {
        self.toasts.say(words);
    }

    /// Reads what holds some entries anew, and forgets what is known below them.
    async fn changed(self, paths: &[&str]) {
        self.directories.try_update(|known| {
            known.retain(|path, _| !paths.iter().any(|changed| path::is_within(path, changed)));
        });
        let above = paths.iter().flat_map(|path| path::ancestors(path));
        let above: HashSet<_> = above.map(str::to_owned).collect();
        self.reload_known(above).await;
    }

    /// Does something, and shows why it failed if it does.
    pub fn attempt(self, done: impl Future<Output = Result<(), ApiError>> + 'static) {
        self.task.set(Task::None);
        self.problem.set(None);
        spawn_local(async move {
            if let Err(problem) = done.await {
                self.problem.try_set(Some(problem));
            }
        });
    }
}

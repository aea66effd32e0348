//! Files on their way from this browser to workspaces. They belong to no page: whoever goes on to a
//! session leaves them running.

use std::{collections::HashSet, sync::Arc};

use leptos::{prelude::*, task::spawn_local};
use send_wrapper::SendWrapper;
use web_sys::File;

use super::send;
use crate::{api::ApiError, components::toasts::Toasts, format, path};

/// Uploads at the same time.
const AT_ONCE: usize = 3;
/// So many rows stay when they are done; with more of them, only what is left is listed.
const KEPT: usize = 20;

/// How an upload takes effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Whether what is there may be replaced.
    pub overwrite: bool,
    /// Whether it is an archive to unpack.
    pub unpack: bool,
}

/// How an upload is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It is an archive: whether to unpack it has to be said first.
    Asking,
    /// Others are before it.
    Waiting(How),
    /// So many bytes have arrived.
    Sending(i64),
    /// The connection is lost; it goes on by itself.
    Offline(i64),
    /// All has arrived and is put in its place.
    Finishing,
    /// It is there.
    Done,
    /// Something of this name is there already.
    Taken,
    /// It was refused.
    Failed(ApiError),
    /// Somebody gave it up.
    Cancelled,
}

impl State {
    fn is_active(&self) -> bool {
        matches!(self, Self::Sending(_) | Self::Offline(_) | Self::Finishing)
    }

    /// Whether nothing will happen any more without somebody's decision.
    pub fn has_ended(&self) -> bool {
        matches!(
            self,
            Self::Done | Self::Failed(_) | Self::Cancelled | Self::Taken
        )
    }
}

/// One upload.
#[derive(Clone)]
pub struct Upload {
    /// Tells it from others.
    pub id: u32,
    /// The workspace.
    pub workspace_id: String,
    /// Where the file will be.
    pub path: String,
    /// Size in bytes.
    pub size: i64,
    /// How it is doing.
    pub state: ArcRwSignal<State>,
    /// The file.
    pub file: SendWrapper<File>,
}

impl Upload {
    /// Whether somebody gave it up.
    pub fn is_cancelled(&self) -> bool {
        self.state
            .with_untracked(|state| *state == State::Cancelled)
    }

    /// Says how it is doing, unless it was given up.
    pub fn set(&self, state: State) {
        if !self.is_cancelled() {
            self.state.set(state);
        }
    }
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All that were begun since the list was empty.
    pub all: usize,
    /// Those that are there.
    pub done: usize,
}

/// All uploads of this tab.
#[derive(Clone, Copy)]
pub struct Uploads {
    list: RwSignal<Arc<Vec<Upload>>>,
    tally: RwSignal<Tally>,
    last_id: StoredValue<u32>,
    arrived: RwSignal<HashSet<String>>,
    toasts: Toasts,
}

impl Uploads {
    /// Provides them to all pages.
    pub fn provide() {
        provide_context(Self {
            list: RwSignal::default(),
            tally: RwSignal::default(),
            last_id: StoredValue::new(0),
            arrived: RwSignal::default(),
            toasts: expect_context(),
        });
    }

    /// Those that are listed; tracked.
    pub fn list(self) -> Arc<Vec<Upload>> {
        self.list.get()
    }

    /// How many there are; tracked.
    pub fn tally(self) -> Tally {
        self.tally.get()
    }

    /// Whether directories have changed by what arrived; tracked.
    pub fn has_arrived(self) -> bool {
        self.arrived.with(|arrived| !arrived.is_empty())
    }

    /// The directories in which something arrived since this was asked.
    pub fn take_arrived(self) -> HashSet<String> {
        self.arrived.try_update(std::mem::take).unwrap_or_default()
    }

    /// Begins to upload files into a directory, each with its path below it.
    pub fn add(self, workspace_id: &str, directory: &str, files: Vec<(String, File)>) {
        let mut list = Vec::clone(&self.list.get_untracked());
        self.tally.update(|tally| tally.all += files.len());
        for (name, file) in files {
            let is_archive = !name.contains('/') && name.to_ascii_lowercase().ends_with(".zip");
            let state = if is_archive {
                State::Asking
            } else {
                State::Waiting(How::default())
            };
            let id = self.last_id.get_value() + 1;
            self.last_id.set_value(id);
            list.push(Upload {
                id,
                workspace_id: workspace_id.to_owned(),
                path: path::join(directory, &path::spelled(&name)),
                size: file.size() as i64,
                state: ArcRwSignal::new(state),
                file: SendWrapper::new(file),
            });
        }
        self.list.set(Arc::new(list));
        self.next();
    }

    /// Lets an upload begin, or begin again.
    pub fn begin(self, upload: &Upload, how: How) {
        upload.state.set(State::Waiting(how));
        self.next();
    }

    /// Gives an upload up.
    pub fn cancel(self, upload: &Upload) {
        upload.state.set(State::Cancelled);
        self.list.update(|list| {
            Arc::make_mut(list).retain(|one| one.id != upload.id);
        });
        self.tally
            .update(|tally| tally.all = tally.all.saturating_sub(1));
        self.next();
    }

    /// Gives up all that have not ended, and lists none any more.
    pub fn clear(self) {
        for upload in self.list.get_untracked().iter() {
            if !upload.state.with_untracked(State::has_ended) {
                upload.state.set(State::Cancelled);
            }
        }
        self.list.set(Arc::default());
        self.tally.set(Tally::default());
    }

    fn next(self) {
        let list = self.list.get_untracked();
        let active = |upload: &&Upload| upload.state.with_untracked(State::is_active);
        let free = AT_ONCE.saturating_sub(list.iter().filter(active).count());
        let waiting = list.iter().filter_map(|upload| {
            upload.state.with_untracked(|state| match state {
                State::Waiting(how) => Some((upload.clone(), *how)),
                _ => None,
            })
        });
        for (upload, how) in waiting.take(free) {
            upload.state.set(State::Sending(0));
            spawn_local(async move {
                let end = match send::send(&upload, how).await {
                    Ok(()) => State::Done,
                    Err(error) if send::is_taken(&error) && !how.unpack => State::Taken,
                    Err(error) => State::Failed(error),
                };
                self.ended(&upload, end);
            });
        }
        self.close_if_done();
    }

    fn ended(self, upload: &Upload, end: State) {
        if end == State::Done && !upload.is_cancelled() {
            self.tally.update(|tally| tally.done += 1);
            self.arrived.update(|arrived| {
                arrived.insert(path::parent(&upload.path).to_owned());
            });
            if self.list.with_untracked(|list| list.len() > KEPT) {
                self.list.update(|list| {
                    Arc::make_mut(list).retain(|one| one.id != upload.id);
                });
            }
        }
        upload.set(end);
        self.next();
    }

    /// When all went well, there is nothing left to look at.
    fn close_if_done(self) {
        let tally = self.tally.get_untracked();
        if tally.all == 0 || tally.done < tally.all {
            return;
        }
        self.clear();
        let files = format::count(tally.all as i64, "file", "files");
        self.toasts.say(format!("Uploaded {files}"));
    }
}

//! Workspaces' files for people and programs: opens the tree beneath its handle, off the async
//! threads, keeps account of what each workspace uses, and turns refusals into the server's error.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use cap_std::fs::Dir;
use membrane_files::{
    Limits, TreePath,
    root::{self, Amount, Quota, Root, Usage},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    clock::{Clock, Millis},
    error::Error,
    id::WorkspaceId,
    uploads::blocking,
    workspaces::{Places, refused},
};

mod notices;
mod stream;
mod uploads;

pub use notices::{Notices, Watch};
pub use stream::{CHUNK, Chunks, Download};
pub use uploads::{Finished, NewUpload, Upload};

/// How long the trash keeps something, in milliseconds.
const TRASH_LIFETIME: Millis = 7 * 24 * 3_600_000;
/// Archives that are made at the same time on the whole server; each holds a thread.
const MAX_EXPORTS: usize = 16;

/// All workspaces' files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Files {
    places: Places,
    clock: Clock,
    /// Of workspaces that have been used since the start.
    usages: Arc<Mutex<HashMap<WorkspaceId, Arc<Usage>>>>,
    exports: Arc<Semaphore>,
}

impl Files {
    /// The files of the workspaces in these places.
    #[must_use]
    pub fn new(places: Places, clock: Clock) -> Self {
        Self {
            places,
            clock,
            usages: Arc::default(),
            exports: Arc::new(Semaphore::new(MAX_EXPORTS)),
        }
    }

    /// Opens a workspace's tree.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the workspace is being deleted, the file system's own.
    pub fn root(&self, id: WorkspaceId) -> Result<Root, Error> {
        let opened = self.places.base(id);
        let opened = opened.and_then(|base| Root::open(base, self.usage(id)));
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound("workspace"),
            _ => error.into(),
        })
    }

    /// Does something that only reads.
    ///
    /// # Errors
    /// What `work` answers.
    pub async fn read<T: Send + 'static>(
        &self,
        id: WorkspaceId,
        work: impl FnOnce(&Root) -> Result<T, root::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let files = self.clone();
        blocking(move || Ok(work(&files.root(id)?)?)).await
    }

    /// Does something that may change the tree, when it is known how much the workspace uses.
    ///
    /// # Errors
    /// What `work` answers.
    pub async fn change<T: Send + 'static>(
        &self,
        id: WorkspaceId,
        work: impl FnOnce(&Root) -> Result<T, root::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let files = self.clone();
        blocking(move || {
            let usage = files.usage(id);
            let _part = usage.in_part();
            Ok(work(&files.measured(id)?)?)
        })
        .await
    }

    /// Does something with a workspace's whole tree while nobody changes a part of it through the
    /// server. Blocks.
    ///
    /// # Errors
    /// What `work` answers.
    pub fn as_a_whole<T>(
        &self,
        id: WorkspaceId,
        work: impl FnOnce(&Root) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let usage = self.usage(id);
        let _alone = usage.as_a_whole();
        let done = work(&self.measured(id)?);
        usage.forget();
        done
    }

    /// Does something with an empty directory beside a workspace's tree, which then goes. Blocks.
    ///
    /// # Errors
    /// What `work` answers.
    pub fn aside<T>(
        &self,
        id: WorkspaceId,
        work: impl FnOnce(&Dir) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.root(id)?.aside(work)
    }

    /// A name for something that is deleted now.
    #[must_use]
    pub fn trash_id(&self) -> root::TrashId {
        root::TrashId {
            time: self.clock.now(),
            number: Uuid::new_v4().as_u128(),
        }
    }

    /// Removes for good what was deleted long ago. What can't be removed is logged and tried again
    /// the next time.
    pub async fn purge(&self, id: WorkspaceId) {
        let before = self.clock.now() - TRASH_LIFETIME;
        let purged = self.change(id, move |root| root.purge(Some(before))).await;
        if let Err(error) = purged {
            tracing::warn!(workspace.id = %id, error.message = %error, "old things in a workspace's trash could not be removed");
        }
    }

    /// To be called when somebody else, an agent for example, has changed the tree: how much it
    /// uses is added up anew before the next change.
    pub fn refresh(&self, id: WorkspaceId) {
        self.usage(id).forget();
    }

    /// Forgets a workspace that is gone.
    pub fn forget(&self, id: WorkspaceId) {
        let mut usages = self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        usages.remove(&id);
    }

    /// Finishes or removes what an earlier process left unfinished. What can't be mended in one
    /// workspace is logged and stops nobody.
    pub fn recover(&self, known: impl IntoIterator<Item = WorkspaceId>) {
        for id in known {
            let recovered = self.root(id).and_then(|root| {
                root.recover()?;
                root.purge(Some(self.clock.now() - TRASH_LIFETIME))?;
                self.sweep_uploads(id)
            });
            if let Err(error) = recovered {
                tracing::warn!(workspace.id = %id, error.message = %error, "what an earlier process left in a workspace could not be tidied up");
            }
        }
    }

    fn measured(&self, id: WorkspaceId) -> Result<Root, Error> {
        let root = self.root(id)?;
        let usage = self.usage(id);
        let _turn = usage.measuring();
        if usage.known().is_none() {
            root.measure(self.announced(id)?)?;
        }
        Ok(root)
    }

    /// A workspace's account.
    fn usage(&self, id: WorkspaceId) -> Arc<Usage> {
        let mut usages = self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        let usage = usages
            .entry(id)
            .or_insert_with(|| Arc::new(Usage::new(Quota::default())));
        usage.clone()
    }

    fn release(&self, id: WorkspaceId, amount: Amount) {
        self.usage(id).release(amount);
    }
}

/// A path of a request's field.
///
/// # Errors
/// [`Error::Invalid`] with the rule that it breaks.
pub fn parse_path(field: &str, text: &str) -> Result<TreePath, Error> {
    text.parse()
        .map_err(|error: membrane_files::PathError| Error::invalid(field, error.to_string()))
}

/// What a directory may be to become an archive. On Linux, names may differ only by case.
pub(crate) fn export_limits() -> Limits {
    Limits {
        refuse_twins: false,
        ..Limits::default()
    }
}

impl From<root::Error> for Error {
    fn from(error: root::Error) -> Self {
        let message = error.to_string();
        match error {
            root::Error::NotFound => Self::NotFound("file"),
            root::Error::AlreadyExists(path) => Self::AlreadyExists(path.to_string().into()),
            root::Error::NotADirectory(_) => precondition("NOT_A_DIRECTORY", message),
            root::Error::NotAFile(_) | root::Error::Special(_) => {
                precondition("NOT_A_FILE", message)
            }
            root::Error::Denied => precondition("PERMISSIONS", message),
            root::Error::Stale => Self::StaleEtag,
            root::Error::IntoItself => Self::invalid("new_path", message),
            root::Error::Top | root::Error::Path(_) => Self::invalid("path", message),
            root::Error::QuotaBytes { .. } => exhausted("QUOTA_BYTES", message),
            root::Error::QuotaEntries { .. } => exhausted("QUOTA_ENTRIES", message),
            root::Error::DiskFull => exhausted("DISK_FULL", message),
            root::Error::Archive(error) => refused(error),
            root::Error::Io(error) => Self::Io(error),
            _ => Self::Internal(message),
        }
    }
}

fn precondition(reason: &'static str, message: String) -> Error {
    Error::Precondition { reason, message }
}

fn exhausted(reason: &'static str, message: String) -> Error {
    Error::Exhausted { reason, message }
}

//! Workspaces as directories: made before their row, removed after it, and swept at start, so that
//! a crash in between leaves nothing orphaned for ever.

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use cap_std::{ambient_authority, fs::Dir};
use membrane_agent::sandbox::WorkspacePlace;
use membrane_files::{ArchiveError, Fault, Limits, Summary, import_directory, import_zip};
use uuid::Uuid;

use crate::{error::Error, id::WorkspaceId};

mod new;
mod service;

pub use new::NewWorkspace;

/// The directory of all workspaces. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Places {
    root: PathBuf,
}

impl Places {
    /// Opens the root, and creates it if absent.
    ///
    /// # Errors
    /// The file system's own.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root.join(UPLOADS))?;
        Ok(Self {
            root: std::path::absolute(root)?,
        })
    }

    /// Says that somebody uses the directories: as long as the answer lives, no starting server takes
    /// what is being made there for something that nobody owns.
    ///
    /// # Errors
    /// The file system's own.
    pub fn announce(&self) -> io::Result<File> {
        let file = self.announcements()?;
        file.lock_shared()?;
        Ok(file)
    }

    /// Keeps everybody else from beginning to use the directories; `None` while anybody does.
    ///
    /// # Errors
    /// The file system's own.
    pub fn lock_alone(&self) -> io::Result<Option<File>> {
        let file = self.announcements()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn announcements(&self) -> io::Result<File> {
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.root.join(ANNOUNCED))
    }

    /// The two directories of a workspace.
    #[must_use]
    pub fn place(&self, id: WorkspaceId) -> WorkspacePlace {
        let base = self.root.join(id.to_string());
        WorkspacePlace {
            files: base.join("files"),
            home: base.join("home"),
        }
    }

    /// A handle on the directory that holds everything of a workspace.
    ///
    /// # Errors
    /// The file system's own; `NotFound` when the workspace is gone.
    pub fn base(&self, id: WorkspaceId) -> io::Result<Dir> {
        Dir::open_ambient_dir(self.root.join(id.to_string()), ambient_authority())
    }

    /// The directory of a workspace's unfinished uploads, which may not exist yet.
    #[must_use]
    pub fn uploads(&self, id: WorkspaceId) -> PathBuf {
        self.root.join(id.to_string()).join("uploads")
    }

    /// Makes the empty directories of a new workspace.
    ///
    /// # Errors
    /// The file system's own.
    pub fn create(&self, id: WorkspaceId) -> io::Result<()> {
        let place = self.place(id);
        fs::create_dir_all(&place.files)?;
        fs::create_dir_all(&place.home)
    }

    /// Removes the directories of a workspace whose row is gone. Renamed first, so that what a
    /// crash leaves is recognised by the sweep.
    ///
    /// # Errors
    /// The file system's own.
    pub fn remove(&self, id: WorkspaceId) -> io::Result<()> {
        let base = self.root.join(id.to_string());
        let doomed = self.root.join(format!("{id}.deleting"));
        match fs::rename(&base, &doomed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => fs::remove_dir_all(doomed),
        }
    }

    /// Removes what no row owns: half-made and half-deleted workspaces, and old uploads. Answers
    /// how many it removed. What is not named like a workspace is left alone. To be called by who is
    /// alone here.
    ///
    /// # Errors
    /// The file system's own.
    pub fn sweep(&self, known: &HashSet<WorkspaceId>) -> io::Result<usize> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let id = name.strip_suffix(".deleting").unwrap_or(&name);
            let Ok(id) = Uuid::parse_str(id) else {
                continue;
            };
            if name.ends_with(".deleting") || !known.contains(&WorkspaceId(id)) {
                fs::remove_dir_all(entry.path())?;
                removed += 1;
            }
        }
        for upload in fs::read_dir(self.root.join(UPLOADS))? {
            fs::remove_file(upload?.path())?;
        }
        Ok(removed)
    }

    /// A new temporary file for an upload, beside the workspaces; gone when dropped.
    ///
    /// # Errors
    /// The file system's own.
    pub fn upload(&self) -> io::Result<Upload> {
        let path = self
            .root
            .join(UPLOADS)
            .join(format!("{}.zip", Uuid::new_v4()));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Upload { path, file })
    }

    /// Fills a new workspace from an archive. On error nothing of it is left.
    ///
    /// # Errors
    /// [`Error::Rejected`] or [`Error::Exhausted`] with the archive's own reason.
    pub fn import_archive(
        &self,
        id: WorkspaceId,
        archive: &File,
        limits: &Limits,
    ) -> Result<Summary, Error> {
        self.fill(id, |files| import_zip(archive, files, limits))
    }

    /// Fills a new workspace from a directory on this machine. On error nothing of it is left.
    ///
    /// # Errors
    /// As for an archive.
    pub fn import_directory(
        &self,
        id: WorkspaceId,
        source: &Path,
        limits: &Limits,
    ) -> Result<Summary, Error> {
        let source = Dir::open_ambient_dir(source, ambient_authority())?;
        self.fill(id, |files| import_directory(&source, files, limits))
    }

    fn fill(
        &self,
        id: WorkspaceId,
        import: impl FnOnce(&Dir) -> Result<Summary, ArchiveError>,
    ) -> Result<Summary, Error> {
        self.create(id)?;
        let files = Dir::open_ambient_dir(self.place(id).files, ambient_authority())?;
        import(&files).map_err(|error| {
            if let Err(error) = self.remove(id) {
                tracing::warn!(error.message = %error, "a refused import could not be removed; the next start will");
            }
            refused(error)
        })
    }
}

/// Where uploads wait: not a UUID, so never taken for a workspace.
const UPLOADS: &str = ".uploads";
/// Locked, shared, by whoever uses the directories: servers, and commands that make a workspace.
const ANNOUNCED: &str = ".importing";

/// A temporary file.
#[derive(Debug)]
pub struct Upload {
    path: PathBuf,
    /// The open file.
    pub file: File,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // An error leaves it for the sweep at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// An archive's refusal as the server's error.
pub(crate) fn refused(error: ArchiveError) -> Error {
    let reason = error.reason();
    let message = error.to_string();
    match error.fault() {
        Fault::Content => Error::Rejected { reason, message },
        Fault::Limit => Error::Exhausted { reason, message },
        Fault::Destination | Fault::Io => match error {
            ArchiveError::Io { source, .. } => Error::Io(source),
            _ => Error::Internal(message),
        },
    }
}

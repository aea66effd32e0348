//! Where things are made before they appear in the tree: a directory beside it, on the same file
//! system, which no sandbox sees.

use super::remove::remove;
use super::{Error, Result, Root, STAGING};
use crate::staging::{move_up, names};
use crate::tree_path::TreePath;
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use std::ffi::OsStr;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// In a staged directory: entries that are on their way into the tree, past the point of no return.
pub(super) const PLACING: &str = "placing";
/// Beside them: the path of the directory into which they go.
pub(super) const INTO: &str = "into";

/// A directory of one's own in which something is made. Dropping it removes what is left there.
#[derive(Debug)]
pub(super) struct Staged {
    staging: Dir,
    name: String,
    directory: Dir,
}

impl Staged {
    pub(super) fn new(root: &Root) -> Result<Self> {
        let staging = root.beside(STAGING)?;
        let name = fresh(|name| staging.create_dir(name))?;
        let directory = staging.open_dir_nofollow(&name)?;
        Ok(Self {
            staging,
            name,
            directory,
        })
    }

    pub(super) fn directory(&self) -> &Dir {
        &self.directory
    }

    /// Makes a file; the process's umask applies to its mode.
    pub(super) fn file(&self, name: &OsStr, executable: bool) -> Result<File> {
        new_file(&self.directory, name, executable)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What can't be removed now is removed by `Root::recover`.
        let _ = remove(&self.staging, self.name.as_ref());
    }
}

/// Makes a file that is not there.
pub(super) fn new_file(directory: &Dir, name: &OsStr, executable: bool) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    options.mode(if executable { 0o755 } else { 0o644 });
    options.follow(FollowSymlinks::No);
    Ok(directory.open_with(name, &options)?)
}

/// Makes something under a name that nothing has, and answers the name.
pub(super) fn fresh(mut make: impl FnMut(&str) -> io::Result<()>) -> io::Result<String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let name = format!("new-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        match make(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| name),
        }
    }
}

impl Root {
    /// Does something with an empty directory beside the tree, which then goes.
    ///
    /// # Errors
    /// What `work` answers.
    pub fn aside<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Dir) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let staged = Staged::new(self)?;
        work(staged.directory())
    }

    /// Finishes or removes what a process that died was making. To be called before the tree is
    /// used again, while nothing else uses it.
    ///
    /// # Errors
    /// The file system's own.
    pub fn recover(&self) -> Result<()> {
        let staging = self.beside(STAGING)?;
        for name in names(&staging)? {
            if let Ok(staged) = staging.open_dir_nofollow(&name) {
                self.finish_placing(&staged)?;
                self.finish_exchange(&staged)?;
            }
            remove(&staging, &name)?;
        }
        Ok(())
    }

    /// Moves the rest of an accepted archive into place. What has lost its place meanwhile goes.
    fn finish_placing(&self, staged: &Dir) -> Result<()> {
        let Ok(placing) = staged.open_dir_nofollow(PLACING) else {
            return Ok(());
        };
        let into = staged.read(INTO)?;
        let target = TreePath::from_bytes(&into)
            .ok()
            .and_then(|path| self.descend(&path).ok());
        if let Some(target) = target {
            for name in names(&placing)? {
                // Only what is taken or gone by now can't be moved.
                let _ = move_up(&placing, &target, &[name]);
            }
        }
        Ok(())
    }
}

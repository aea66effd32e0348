//! Unpacking an archive into a tree that has something in it already: all of it or nothing.

use super::change::put;
use super::entry::{Entry, look};
use super::staging::{INTO, PLACING, Staged};
use super::usage::Amount;
use super::{Error, Result, Root};
use crate::error::ArchiveError;
use crate::import::import_zip;
use crate::limits::Limits;
use crate::staging::{move_up, names};
use crate::summary::Summary;
use crate::tree_path::TreePath;
use cap_fs_ext::DirExt;
use cap_std::fs::Dir;
use std::io::{Read, Seek, Write};

const BUILT: &str = "built";

impl Root {
    /// Unpacks a zip archive into a directory, which is made if absent. Entries at the top of the
    /// archive replace nothing and are merged with nothing.
    ///
    /// A process that dies while entries are moved into place leaves some of them there;
    /// [`Root::recover`] moves the others.
    ///
    /// # Errors
    /// [`Error::Archive`]; [`Error::AlreadyExists`] with the entry that is there already,
    /// [`Error::NotADirectory`], a quota.
    pub fn unpack(
        &self,
        archive: impl Read + Seek,
        path: &TreePath,
        limits: &Limits,
    ) -> Result<(Entry, Summary)> {
        let staged = Staged::new(self)?;
        staged.directory().create_dir(BUILT)?;
        let built = staged.directory().open_dir_nofollow(BUILT)?;
        let summary = self.import(archive, &built, limits)?;
        let entries = summary.files + summary.directories + summary.symlinks;
        let bytes = summary.total_bytes;
        let room = self.usage.reserve(Amount { bytes, entries })?;
        let _turn = self.usage.change();
        if !self.put_whole(&staged, path)? {
            self.put_each(&staged, &built, path)?;
        }
        room.keep();
        Ok((self.stat(path)?, summary))
    }

    /// Imports within what the workspace has room for.
    fn import(&self, archive: impl Read + Seek, built: &Dir, limits: &Limits) -> Result<Summary> {
        let room = self.usage.room();
        let bounded = Limits {
            max_total_bytes: limits.max_total_bytes.min(room.bytes),
            max_entries: limits.max_entries.min(room.entries),
            ..*limits
        };
        let quota = self.usage.quota();
        import_zip(archive, built, &bounded).map_err(|error| match error {
            ArchiveError::TotalTooLarge { .. } if room.bytes < limits.max_total_bytes => {
                let limit = quota.max_bytes;
                Error::QuotaBytes { limit }
            }
            ArchiveError::TooManyEntries { .. } if room.entries < limits.max_entries => {
                let limit = quota.max_entries;
                Error::QuotaEntries { limit }
            }
            error => error.into(),
        })
    }

    /// Where nothing is, the whole directory is put there. Answers whether it was.
    fn put_whole(&self, staged: &Staged, path: &TreePath) -> Result<bool> {
        let Some((parent, name)) = path.split() else {
            return Ok(false);
        };
        let parent = self.make_directories(&parent)?;
        if look(&parent, name)?.is_some() {
            return Ok(false);
        }
        let room = self.usage.reserve(Amount::file(0))?;
        match put(staged.directory(), BUILT.as_ref(), &parent, name, path) {
            Err(Error::AlreadyExists(_)) => return Ok(false),
            put => put?,
        }
        room.keep();
        Ok(true)
    }

    fn put_each(&self, staged: &Staged, built: &Dir, path: &TreePath) -> Result<()> {
        let target = self.descend(path)?;
        let names = names(built)?;
        for name in &names {
            if look(&target, name)?.is_some() {
                return Err(Error::AlreadyExists(path.join(name)?));
            }
        }
        let mut into = staged.file(INTO.as_ref(), false)?;
        into.write_all(path.as_bytes())?;
        into.sync_data()?;
        let own = staged.directory();
        put(own, BUILT.as_ref(), own, PLACING.as_ref(), path)?;
        let Err((moved, error)) = move_up(built, &target, &names) else {
            return Ok(());
        };
        let _ = move_up(&target, built, &names[..moved]);
        match error {
            ArchiveError::DestinationNotEmpty => {
                Err(Error::AlreadyExists(path.join(&names[moved])?))
            }
            error => Err(error.into()),
        }
    }
}

//! Writing whole files.

use super::entry::{Entry, Etag, Kind, bytes_of, look};
use super::staging::Staged;
use super::usage::Amount;
use super::{Error, Result, Root};
use crate::tree_path::TreePath;
use cap_std::fs::{Dir, File, Permissions, PermissionsExt};
use rustix::fs::{Stat, renameat};
use std::ffi::OsStr;
use std::io::Write;

/// What must be so for a file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// A file that is there is replaced.
    None,
    /// Nothing may be there.
    Absent,
    /// The file must be there and have this etag.
    Unchanged(Etag),
}

impl Root {
    /// Writes a file at once: whoever reads it sees all of the old contents or all of the new.
    /// Makes the directories on the way. A file that is replaced keeps its executable bit.
    ///
    /// # Errors
    /// [`Error::Stale`] and [`Error::AlreadyExists`] when the condition is not met,
    /// [`Error::NotAFile`] when something else is there, be it a link to a file,
    /// [`Error::NotADirectory`] for a file or link on the way, a quota.
    pub fn write(&self, path: &TreePath, contents: &[u8], condition: &Condition) -> Result<Entry> {
        let staged = Staged::new(self)?;
        self.check_place(path, condition)?;
        let room = self.usage.reserve(Amount::file(contents.len() as u64))?;
        let mut file = staged.file(ITEM.as_ref(), false)?;
        file.write_all(contents)?;
        let entry = self.put_file(staged.directory(), ITEM.as_ref(), path, condition)?;
        room.keep();
        Ok(entry)
    }

    /// Puts a complete file from outside the tree in its place, as [`Root::write`] does. Its size
    /// has been reserved, and one entry.
    ///
    /// # Errors
    /// Those of [`Root::write`]; the file is then still where it was.
    pub fn put_file(
        &self,
        from: &Dir,
        name: &OsStr,
        path: &TreePath,
        condition: &Condition,
    ) -> Result<Entry> {
        let (parent, new_name) = path.split().ok_or_else(|| Error::NotAFile(path.clone()))?;
        self.check_place(path, condition)?;
        let parent = self.make_directories(&parent)?;
        let file = from.open(name)?;
        file.sync_data()?;
        let turn = self.usage.change();
        let old = check(&parent, new_name, path, condition)?;
        match old {
            None => super::change::put(from, name, &parent, new_name, path)?,
            Some(old) => {
                keep_executable(&file, &old)?;
                renameat(from, name, &parent, new_name)?;
                self.usage.release(Amount::file(bytes_of(&old)));
            }
        }
        drop(turn);
        Entry::of(&parent, new_name, path.clone())
    }

    /// Whether a file could be written now, before any work is put into it.
    ///
    /// # Errors
    /// Those of [`Root::write`].
    pub fn check_place(&self, path: &TreePath, condition: &Condition) -> Result<()> {
        let (parent, name) = path.split().ok_or_else(|| Error::NotAFile(path.clone()))?;
        match (self.descend(&parent), condition) {
            (Err(Error::NotFound), Condition::Unchanged(_)) => Err(Error::Stale),
            (Err(Error::NotFound), _) => Ok(()),
            (parent, _) => check(&parent?, name, path, condition).map(|_| ()),
        }
    }
}

/// The name of the one thing in a directory of ours.
const ITEM: &str = "item";

fn check(
    parent: &Dir,
    name: &OsStr,
    path: &TreePath,
    condition: &Condition,
) -> Result<Option<Stat>> {
    let found = look(parent, name)?;
    match (&found, condition) {
        (Some(_), Condition::Absent) => return Err(Error::AlreadyExists(path.clone())),
        (None, Condition::Unchanged(_)) => return Err(Error::Stale),
        (Some(stat), _) if Kind::of(stat) != Kind::File => {
            return Err(Error::NotAFile(path.clone()));
        }
        (Some(_), Condition::Unchanged(etag))
            if Entry::of(parent, name, path.clone())?.etag != *etag =>
        {
            return Err(Error::Stale);
        }
        _ => {}
    }
    Ok(found)
}

fn keep_executable(file: &File, old: &Stat) -> Result<()> {
    if old.st_mode & 0o100 != 0 {
        file.set_permissions(Permissions::from_mode(0o755))?;
    }
    Ok(())
}

//! Making directories, and moving what is there.

use super::entry::{Entry, Etag, look};
use super::error::is_no_directory;
use super::usage::Amount;
use super::{Error, Result, Root, open_directory};
use crate::tree_path::TreePath;
use cap_std::fs::Dir;
use rustix::fs::{RenameFlags, Stat, renameat_with};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;

impl Root {
    /// Makes a directory, and those on the way.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NotADirectory`] for a file or link on the way, a quota.
    pub fn create_directory(&self, path: &TreePath) -> Result<Entry> {
        let Some((parent, name)) = path.split() else {
            return Err(Error::AlreadyExists(path.clone()));
        };
        let parent = self.make_directories(&parent)?;
        let room = self.usage.reserve(Amount::file(0))?;
        parent
            .create_dir(name)
            .map_err(|error| taken(error, path))?;
        room.keep();
        Entry::of(&parent, name, path.clone())
    }

    /// Moves or renames anything, and makes the directories on the way. Replaces nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AlreadyExists`], [`Error::Stale`], [`Error::IntoItself`],
    /// [`Error::NotADirectory`] for a file or link on the way.
    pub fn rename(&self, from: &TreePath, to: &TreePath, etag: Option<&Etag>) -> Result<Entry> {
        let (Some((old_parent, old_name)), Some((new_parent, new_name))) =
            (from.split(), to.split())
        else {
            return Err(Error::Top);
        };
        let old_parent = self.descend(&old_parent)?;
        self.check_etag(&old_parent, old_name, from, etag)?;
        if to != from && to.is_within(from) {
            return Err(Error::IntoItself);
        }
        let new_parent = self.make_directories(&new_parent)?;
        let turn = self.usage.change();
        self.check_etag(&old_parent, old_name, from, etag)?;
        put(&old_parent, old_name, &new_parent, new_name, to)?;
        drop(turn);
        Entry::of(&new_parent, new_name, to.clone())
    }

    /// What is at a name, if it is still what the caller read.
    pub(super) fn check_etag(
        &self,
        parent: &Dir,
        name: &OsStr,
        path: &TreePath,
        etag: Option<&Etag>,
    ) -> Result<Stat> {
        let stat = look(parent, name)?.ok_or(Error::NotFound)?;
        if let Some(etag) = etag
            && *etag != Entry::of(parent, name, path.clone())?.etag
        {
            return Err(Error::Stale);
        }
        Ok(stat)
    }

    /// Opens a directory for changing something in it: through no link at all.
    pub(super) fn descend(&self, path: &TreePath) -> Result<Dir> {
        descend(&self.files, path)
    }

    /// The same, making what is missing.
    pub(super) fn make_directories(&self, path: &TreePath) -> Result<Dir> {
        let mut directory = self.files.try_clone()?;
        let mut at = TreePath::top();
        for name in path.names() {
            at = at.join(name)?;
            directory = match open_directory(&directory, name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.make_directory(&directory, name, &at)?
                }
                opened => opened.map_err(|error| no_directory(error, &at))?,
            };
        }
        Ok(directory)
    }

    fn make_directory(&self, parent: &Dir, name: &OsStr, path: &TreePath) -> Result<Dir> {
        let room = self.usage.reserve(Amount::file(0))?;
        match parent.create_dir(name) {
            Ok(()) => room.keep(),
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        open_directory(parent, name).map_err(|error| no_directory(error, path))
    }
}

/// Opens a directory beneath a handle, name by name, through no link.
pub(super) fn descend(top: &Dir, path: &TreePath) -> Result<Dir> {
    let mut directory = top.try_clone()?;
    for name in path.names() {
        let opened = open_directory(&directory, name);
        directory = opened.map_err(|error| no_directory(error, path))?;
    }
    Ok(directory)
}

/// Renames one name to another and replaces nothing.
pub(super) fn put(from: &Dir, old: &OsStr, to: &Dir, new: &OsStr, path: &TreePath) -> Result<()> {
    renameat_with(from, old, to, new, RenameFlags::NOREPLACE).map_err(|error| match error {
        Errno::EXIST => Error::AlreadyExists(path.clone()),
        Errno::INVAL => Error::IntoItself,
        error => error.into(),
    })
}

fn no_directory(error: io::Error, path: &TreePath) -> Error {
    match is_no_directory(&error) {
        true => Error::NotADirectory(path.clone()),
        false => error.into(),
    }
}

fn taken(error: io::Error, path: &TreePath) -> Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Error::AlreadyExists(path.clone()),
        _ => error.into(),
    }
}

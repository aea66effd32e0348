//! All or nothing: a tree is built in a hidden directory beneath the destination and moved into
//! place when it is complete.
//!
//! The name of the hidden directory says how far an import came. While it is built it is
//! `.membrane-import`; one rename to `.membrane-commit` is the point of no return, after which its
//! entries are moved up one by one. A process killed before that point leaves something to be
//! removed, one killed after it something to be finished; [`recover`] does either.

use crate::error::ArchiveError;
use cap_fs_ext::{DirExt, OpenOptionsFollowExt};
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use rustix::fs::{RenameFlags, renameat_with};
use std::ffi::OsString;
use std::io;

const BUILDING: &str = ".membrane-import";
const COMMITTING: &str = ".membrane-commit";

/// Names at the top of a tree that no archive may use, in any case: an import uses them itself.
pub const RESERVED_NAMES: [&str; 2] = [BUILDING, COMMITTING];

/// What [`recover`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// No import was interrupted.
    Clean,
    /// An import had not been accepted; its leftovers are gone.
    Removed,
    /// An import had been accepted; the rest of it has been moved into place.
    Completed,
}

/// Removes or finishes what an interrupted import left in `destination`. To be called before a
/// destination is used again after a crash, while no import into it is running.
///
/// # Errors
/// [`ArchiveError::DestinationNotEmpty`] when an accepted entry's place was taken meanwhile,
/// [`ArchiveError::Io`] otherwise.
pub fn recover(destination: &Dir) -> Result<Recovery, ArchiveError> {
    let doing = "recovering an interrupted import";
    let mut found = Recovery::Clean;
    match destination.open_dir_nofollow(COMMITTING) {
        Ok(tree) => {
            let names = names(&tree).map_err(ArchiveError::io(doing))?;
            move_up(&tree, destination, &names).map_err(|(_, error)| error)?;
            let removed = destination.remove_dir(COMMITTING);
            removed.map_err(ArchiveError::io(doing))?;
            found = Recovery::Completed;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(ArchiveError::io(doing)(error)),
    }
    match destination.remove_dir_all(BUILDING) {
        Ok(()) => found = Recovery::Removed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(ArchiveError::io(doing)(error)),
    }
    Ok(found)
}

/// A tree under construction. Dropping it removes everything again.
#[derive(Debug)]
pub(crate) struct Staging<'d> {
    destination: &'d Dir,
    tree: Dir,
    /// The name under which the tree now is, or none once nothing is left of it.
    name: Option<&'static str>,
}

impl<'d> Staging<'d> {
    /// Starts in an empty destination. The directory that is made here also locks out a second
    /// import.
    pub(crate) fn begin(destination: &'d Dir) -> Result<Self, ArchiveError> {
        let doing = "preparing the destination";
        let present = names(destination).map_err(ArchiveError::io(doing))?;
        if present
            .iter()
            .any(|name| RESERVED_NAMES.iter().any(|reserved| name == reserved))
        {
            return Err(ArchiveError::Unfinished);
        }
        if !present.is_empty() {
            return Err(ArchiveError::DestinationNotEmpty);
        }
        destination
            .create_dir(BUILDING)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => ArchiveError::Unfinished,
                _ => ArchiveError::io(doing)(error),
            })?;
        let tree = destination.open_dir_nofollow(BUILDING).map_err(|error| {
            // Whoever replaced it loses it; what was made here was empty.
            let _ = destination.remove_dir_all(BUILDING);
            ArchiveError::io(doing)(error)
        })?;
        let name = Some(BUILDING);
        Ok(Self {
            destination,
            tree,
            name,
        })
    }

    /// Makes a directory whose parent exists.
    pub(crate) fn directory(&self, path: &str) -> Result<(), ArchiveError> {
        let made = self.tree.create_dir(path);
        made.map_err(ArchiveError::io("creating a directory"))
    }

    /// Makes a file whose parent exists; the process's umask applies to its mode.
    pub(crate) fn file(&self, path: &str, executable: bool) -> Result<File, ArchiveError> {
        let mode = if executable { 0o755 } else { 0o644 };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        options.follow(cap_fs_ext::FollowSymlinks::No);
        let opened = self.tree.open_with(path, &options);
        opened.map_err(ArchiveError::io("creating a file"))
    }

    /// Makes a link with a checked target. Links are made last, so that nothing is ever written
    /// through one.
    pub(crate) fn symlink(&self, path: &str, target: &str) -> Result<(), ArchiveError> {
        let made = self.tree.symlink(target, path);
        made.map_err(ArchiveError::io("creating a link"))
    }

    /// Moves the tree into place. After an error the destination is as it was before.
    pub(crate) fn commit(mut self) -> Result<(), ArchiveError> {
        let doing = "moving the tree into place";
        let names = names(&self.tree).map_err(ArchiveError::io(doing))?;
        rename(
            self.destination,
            BUILDING.as_ref(),
            self.destination,
            COMMITTING.as_ref(),
        )?;
        self.name = Some(COMMITTING);
        if let Err((moved, error)) = move_up(&self.tree, self.destination, &names) {
            for name in &names[..moved] {
                rename(self.destination, name, &self.tree, name)?;
            }
            return Err(error);
        }
        let removed = self.destination.remove_dir(COMMITTING);
        removed.map_err(ArchiveError::io(doing))?;
        self.name = None;
        Ok(())
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name {
            // What cannot be removed here is recognisable by its name and removed by `recover`.
            let _ = self.destination.remove_dir_all(name);
        }
    }
}

pub(crate) fn names(directory: &Dir) -> io::Result<Vec<OsString>> {
    directory
        .entries()?
        .map(|entry| Ok(entry?.file_name()))
        .collect()
}

/// Moves the named entries; an error says how many had been moved before it.
pub(crate) fn move_up(
    from: &Dir,
    to: &Dir,
    names: &[OsString],
) -> Result<(), (usize, ArchiveError)> {
    for (moved, name) in names.iter().enumerate() {
        rename(from, name, to, name).map_err(|error| (moved, error))?;
    }
    Ok(())
}

/// Renames single components and never replaces anything.
fn rename(
    from: &Dir,
    old: &std::ffi::OsStr,
    to: &Dir,
    new: &std::ffi::OsStr,
) -> Result<(), ArchiveError> {
    renameat_with(from, old, to, new, RenameFlags::NOREPLACE).map_err(|error| match error {
        rustix::io::Errno::EXIST => ArchiveError::DestinationNotEmpty,
        _ => ArchiveError::io("moving the tree into place")(error.into()),
    })
}

//! Copying: built beside the tree, then put in its place at once.

use super::change::put;
use super::entry::{Entry, Kind, look};
use super::measure::{Met, walk};
use super::staging::{Staged, new_file};
use super::usage::{Amount, Reservation};
use super::{Error, Result, Root};
use crate::tree_path::TreePath;
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, File, OpenOptions};
use rustix::fs::{Stat, fstat, readlinkat, symlinkat};
use std::ffi::OsStr;
use std::io::{Read, Write};

const ITEM: &str = "item";

impl Root {
    /// Copies a file, link or whole directory, and makes the directories on the way. Links are
    /// copied as links, executable bits are kept. Replaces nothing, and leaves nothing of a copy
    /// that fails.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AlreadyExists`], [`Error::IntoItself`], [`Error::Special`],
    /// [`Error::NotADirectory`] for a file or link on the way, a quota.
    pub fn copy(&self, from: &TreePath, to: &TreePath) -> Result<Entry> {
        let (Some((parent, name)), Some((new_parent, new_name))) = (from.split(), to.split())
        else {
            return Err(Error::Top);
        };
        if to != from && to.is_within(from) {
            return Err(Error::IntoItself);
        }
        let parent = self.directory(&parent)?;
        let staged = Staged::new(self)?;
        let room = self.build(&parent, name, from, &staged)?;
        let new_parent = self.make_directories(&new_parent)?;
        put(staged.directory(), ITEM.as_ref(), &new_parent, new_name, to)?;
        room.keep();
        Entry::of(&new_parent, new_name, to.clone())
    }

    fn build(
        &self,
        parent: &Dir,
        name: &OsStr,
        from: &TreePath,
        staged: &Staged,
    ) -> Result<Reservation<'_>> {
        let stat = look(parent, name)?.ok_or(Error::NotFound)?;
        let mut room = self.usage.reserve(Amount::default())?;
        let item = OsStr::new(ITEM);
        copy_one(parent, name, &stat, (staged.directory(), item), &mut room)
            .ok_or_else(|| Error::Special(from.clone()))??;
        if Kind::of(&stat) == Kind::Directory {
            let source = parent.open_dir_nofollow(name)?;
            let copy = staged.directory().open_dir_nofollow(item)?;
            copy_tree(&source, &copy, from, &mut room)?;
        }
        Ok(room)
    }
}

fn copy_tree(source: &Dir, copy: &Dir, from: &TreePath, room: &mut Reservation<'_>) -> Result<()> {
    walk(source, true, |met: Met<'_>| {
        let place = (copy, met.path.as_path().as_os_str());
        copy_one(met.parent, met.name, met.stat, place, room).ok_or_else(|| {
            let path = met
                .path
                .names()
                .try_fold(from.clone(), |at, name| at.join(name));
            path.map_or_else(Error::Path, Error::Special)
        })?
    })
}

/// Copies one entry without what it holds. `None` for what can't be copied.
fn copy_one(
    parent: &Dir,
    name: &OsStr,
    stat: &Stat,
    (to, place): (&Dir, &OsStr),
    room: &mut Reservation<'_>,
) -> Option<Result<()>> {
    Some(match Kind::of(stat) {
        Kind::File => copy_file(parent, name, to, place, room),
        Kind::Directory => copy_directory(to, place, room),
        Kind::Symlink => copy_link(parent, name, to, place, room),
        Kind::Special => return None,
    })
}

fn copy_directory(to: &Dir, place: &OsStr, room: &mut Reservation<'_>) -> Result<()> {
    room.grow(Amount::file(0))?;
    Ok(to.create_dir(place)?)
}

fn copy_link(
    parent: &Dir,
    name: &OsStr,
    to: &Dir,
    place: &OsStr,
    room: &mut Reservation<'_>,
) -> Result<()> {
    room.grow(Amount::file(0))?;
    // The target is kept as it is, wherever it leads: nobody follows it out of the tree.
    let target = readlinkat(parent, name, Vec::new())?;
    let (to, place) = beneath(to, place)?;
    Ok(symlinkat(target, &to, place)?)
}

/// The directory and the name of a place in a copy, in which nobody else works.
fn beneath<'p>(to: &Dir, place: &'p OsStr) -> Result<(Dir, &'p OsStr)> {
    let path = std::path::Path::new(place);
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = to.open_dir(parent.unwrap_or(".".as_ref()))?;
    Ok((directory, path.file_name().unwrap_or(place)))
}

fn copy_file(
    parent: &Dir,
    name: &OsStr,
    to: &Dir,
    place: &OsStr,
    room: &mut Reservation<'_>,
) -> Result<()> {
    room.grow(Amount::file(0))?;
    let (mut source, executable) = open_file(parent, name)?;
    let mut copy = new_file(to, place, executable)?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        let length = source.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let (bytes, entries) = (length as u64, 0);
        room.grow(Amount { bytes, entries })?;
        copy.write_all(&buffer[..length])?;
    }
}

/// Opens a regular file; what replaced it since it was looked at is neither followed nor waited
/// for.
fn open_file(parent: &Dir, name: &OsStr) -> Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).nonblock(true).follow(FollowSymlinks::No);
    let file = parent.open_with(name, &options)?;
    let stat = fstat(&file)?;
    if Kind::of(&stat) != Kind::File {
        return Err(Error::Stale);
    }
    Ok((file, stat.st_mode & 0o100 != 0))
}

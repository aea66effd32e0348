//! Removing trees of any depth in constant stack and few handles: what lies deep is moved up first.

use super::entry::{Kind, bytes_of, look};
use super::staging::fresh;
use super::usage::Amount;
use crate::staging::names;
use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, Permissions, PermissionsExt};
use rustix::fs::{AtFlags, RenameFlags, renameat_with, unlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;

/// Removes whatever `name` is, whatever its mode bits say, and answers what it took. `parent` must be
/// a directory of ours: it gets fresh names in between. Nothing there is an answer of zero.
///
/// # Errors
/// The first that the file system had; what could be removed is.
pub fn remove(parent: &Dir, name: &OsStr) -> io::Result<Amount> {
    let mut removed = Amount::default();
    let mut left = vec![name.to_owned()];
    let mut failure = None;
    while let Some(name) = left.pop() {
        match remove_one(parent, &name, &mut left) {
            Ok(amount) => removed = removed.plus(amount),
            Err(error) => drop(failure.get_or_insert(error)),
        }
    }
    failure.map_or(Ok(removed), Err)
}

/// Removes one name; what is deep beneath it comes onto the list.
fn remove_one(parent: &Dir, name: &OsStr, left: &mut Vec<OsString>) -> io::Result<Amount> {
    let Some(stat) = look(parent, name)? else {
        return Ok(Amount::default());
    };
    if Kind::of(&stat) != Kind::Directory {
        unlinkat(parent, name, AtFlags::empty())?;
        return Ok(Amount::file(plain_bytes(&stat)));
    }
    let directory = open(parent, name)?;
    let mut removed = empty(&directory, parent, left)?;
    unlinkat(parent, name, AtFlags::REMOVEDIR)?;
    removed.entries += 1;
    Ok(removed)
}

/// Empties a directory: directories with something in them are moved up and put on the list.
fn empty(directory: &Dir, parent: &Dir, left: &mut Vec<OsString>) -> io::Result<Amount> {
    let mut removed = Amount::default();
    for name in names(directory)? {
        let Some(stat) = look(directory, &name)? else {
            continue;
        };
        if Kind::of(&stat) != Kind::Directory {
            unlinkat(directory, &name, AtFlags::empty())?;
            removed = removed.plus(Amount::file(plain_bytes(&stat)));
            continue;
        }
        match unlinkat(directory, &name, AtFlags::REMOVEDIR) {
            Ok(()) => removed.entries += 1,
            Err(Errno::NOTEMPTY | Errno::EXIST) => left.push(move_up(directory, &name, parent)?),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(removed)
}

fn move_up(directory: &Dir, name: &OsStr, parent: &Dir) -> io::Result<OsString> {
    let rename = |new: &str| {
        let renamed = renameat_with(directory, name, parent, new, RenameFlags::NOREPLACE);
        renamed.map_err(io::Error::from)
    };
    let moved = fresh(rename).or_else(|error| {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Err(error);
        }
        allow(directory, name)?;
        fresh(rename)
    })?;
    Ok(moved.into())
}

fn open(parent: &Dir, name: &OsStr) -> io::Result<Dir> {
    // Bits that keep its owner out of a directory keep nobody from deleting it.
    let writable = look(parent, name)?.is_some_and(|stat| stat.st_mode & 0o700 == 0o700);
    if !writable {
        allow(parent, name)?;
    }
    parent.open_dir_nofollow(name)
}

fn allow(parent: &Dir, name: &OsStr) -> io::Result<()> {
    parent.set_permissions(name, Permissions::from_mode(0o700))
}

fn plain_bytes(stat: &rustix::fs::Stat) -> u64 {
    match Kind::of(stat) {
        Kind::File => bytes_of(stat),
        _ => 0,
    }
}

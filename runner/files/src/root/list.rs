//! Listing one directory, page by page.

use super::entry::{Entry, Etag};
use super::error::is_no_directory;
use super::{Error, Result, Root};
use crate::tree_path::{TreePath, is_reserved};
use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;

/// A place in the order of a listing: directories before everything else, and by the bytes of
/// their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// False sorts first.
    is_other: bool,
    name: Vec<u8>,
}

/// One page of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Place>,
}

impl Place {
    /// As bytes that [`Place::from_bytes`] takes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[u8::from(self.is_other)], &self.name[..]].concat()
    }

    /// A place from its bytes; `None` if these are not one's.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, name) = bytes.split_first()?;
        let is_other = match first {
            0 => false,
            1 => true,
            _ => return None,
        };
        let name = name.to_vec();
        Some(Self { is_other, name })
    }
}

impl Root {
    /// Lists at most `size` entries of a directory that come after a place. Links on the way that
    /// stay in the tree are followed. Only what is on the page is looked at closely; what went
    /// since it was listed is left out, and so is what no path can name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADirectory`].
    pub fn list(&self, path: &TreePath, after: Option<&Place>, size: usize) -> Result<Listing> {
        let directory = self.directory(path)?;
        let mut places = places(&directory, path, after)?;
        let more = places.len() > size;
        if more {
            places.select_nth_unstable(size);
            places.truncate(size);
        }
        places.sort_unstable();
        let entries = places
            .iter()
            .filter_map(|place| entry(&directory, path, place));
        Ok(Listing {
            entries: entries.collect::<Result<_>>()?,
            next: places.pop().filter(|_| more),
        })
    }

    /// Returns one entry without following it; links on the way that stay in the tree are.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn stat(&self, path: &TreePath) -> Result<Entry> {
        let Some((parent, name)) = path.split() else {
            return Entry::of_handle(&self.files, TreePath::top());
        };
        let parent = self.directory(&parent).map_err(|error| match error {
            Error::NotADirectory(_) => Error::NotFound,
            error => error,
        })?;
        Entry::of(&parent, name, path.clone())
    }

    /// Opens a directory for watching it, through links that stay in the tree. Its etag changes
    /// when entries come, go or are renamed, and when another directory is in its place.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADirectory`].
    pub fn watched(&self, path: &TreePath) -> Result<(Dir, Etag)> {
        let directory = self.directory(path)?;
        let etag = Entry::of_handle(&directory, TreePath::top())?.etag;
        Ok((directory, etag))
    }

    /// Opens a directory for reading, through links that stay in the tree.
    pub(crate) fn directory(&self, path: &TreePath) -> Result<Dir> {
        self.files.open_dir(path.as_path()).map_err(|error| {
            if is_no_directory(&error) && error.raw_os_error() != Some(LOOP) {
                return Error::NotADirectory(path.clone());
            }
            error.into()
        })
    }
}

/// Links that lead round in circles lead nowhere.
const LOOP: i32 = rustix::io::Errno::LOOP.raw_os_error();

fn places(directory: &Dir, path: &TreePath, after: Option<&Place>) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    // The handle can only be a way to others; this one can be read.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = openat(directory, ".", flags, Mode::empty())?;
    for entry in rustix::fs::Dir::new(readable)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") || (path.is_top() && is_reserved(name)) {
            continue;
        }
        let place = Place {
            is_other: !is_directory(directory, entry.file_name(), entry.file_type()),
            name: name.to_vec(),
        };
        if after.is_none_or(|after| place > *after) {
            places.push(place);
        }
    }
    Ok(places)
}

/// Most file systems say with the name what an entry is; for the others it is looked at.
fn is_directory(parent: &Dir, name: &CStr, kind: FileType) -> bool {
    if kind != FileType::Unknown {
        return kind == FileType::Directory;
    }
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn entry(directory: &Dir, path: &TreePath, place: &Place) -> Option<Result<Entry>> {
    let name = OsStr::from_bytes(&place.name);
    let path = path.join(name).ok()?;
    match Entry::of(directory, name, path) {
        Err(Error::NotFound) => None,
        found => Some(found),
    }
}

//! What is at one place of a tree.

use super::Result;
use crate::tree_path::TreePath;
use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Stat, readlinkat, statat};
use std::ffi::OsStr;
use std::fmt;
use std::io;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe, socket or device.
    Special,
}

/// One entry, not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: TreePath,
    /// What it is.
    pub kind: Kind,
    /// Size of a regular file in bytes; 0 otherwise.
    pub size: u64,
    /// When its contents last changed: seconds since the Unix epoch, and nanoseconds.
    pub modified: (i64, u32),
    /// Whether it is a regular file that its owner can execute.
    pub executable: bool,
    /// Where a link leads, as its bytes; empty otherwise.
    pub link_target: Vec<u8>,
    /// Changes with its contents.
    pub etag: Etag,
}

/// A short word made of everything by which an entry shows that it was changed or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    /// An etag that a caller has given back.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn of(stat: &Stat) -> Self {
        let mut hasher = blake3::Hasher::new();
        let numbers = [
            i128::from(stat.st_dev),
            i128::from(stat.st_ino),
            i128::from(stat.st_mode & 0o170_000),
            i128::from(stat.st_size),
            i128::from(stat.st_mtime),
            i128::from(stat.st_mtime_nsec),
            i128::from(stat.st_ctime),
            i128::from(stat.st_ctime_nsec),
        ];
        for number in numbers {
            hasher.update(&number.to_le_bytes());
        }
        Self(hasher.finalize().to_hex()[..16].to_owned())
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Kind {
    pub(super) fn of(stat: &Stat) -> Self {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            _ => Self::Special,
        }
    }
}

impl Entry {
    /// The entry that is called `name` in a directory.
    pub(super) fn of(parent: &Dir, name: &OsStr, path: TreePath) -> Result<Self> {
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let mut entry = Self::from_stat(&stat, path);
        if entry.kind == Kind::Symlink {
            entry.link_target = readlinkat(parent, name, Vec::new())?.into_bytes();
        }
        Ok(entry)
    }

    /// The entry that is behind a handle.
    pub(super) fn of_handle(handle: impl std::os::fd::AsFd, path: TreePath) -> Result<Self> {
        Ok(Self::from_stat(&rustix::fs::fstat(handle)?, path))
    }

    fn from_stat(stat: &Stat, path: TreePath) -> Self {
        let kind = Kind::of(stat);
        let is_file = kind == Kind::File;
        Self {
            path,
            kind,
            size: if is_file { bytes_of(stat) } else { 0 },
            modified: (
                stat.st_mtime,
                u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            ),
            executable: is_file && stat.st_mode & 0o100 != 0,
            link_target: Vec::new(),
            etag: Etag::of(stat),
        }
    }
}

/// The size of a regular file.
pub(super) fn bytes_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Looks at an entry without following it; `None` when there is none.
pub(super) fn look(parent: &Dir, name: &OsStr) -> io::Result<Option<Stat>> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

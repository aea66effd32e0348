//! The walk through a tree: each entry's metadata, and what follows from it.

use super::hash::{Hashing, Job};
use super::opened::{Opened, open};
use super::presence::Presence;
use super::{ScanError, ScanOptions, is_executable, size};
use crate::staging::RESERVED_NAMES;
use crate::store::blobs::Store;
use crate::store::cache::{Stamp, StatCache};
use crate::store::manifest::{self, Entry, ManifestError, Node, Skipped, Why};
use crate::tree_path::{MAX_DEPTH, TreePath};
use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Stat, readlinkat, statat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};

/// How often something is looked at anew that changes what it is meanwhile.
const LOOKS: usize = 3;

/// A walk through a tree, and what it found.
struct Walk<'a> {
    options: &'a ScanOptions<'a>,
    cache: &'a StatCache,
    presence: Presence<'a>,
    hashing: &'a mut Hashing,
    found: Found,
    /// How many entries were met until now.
    met: usize,
    /// How many bytes their paths and targets have.
    bytes: usize,
}

/// What is known of a tree.
#[derive(Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) skipped: Vec<Skipped>,
    /// What the next scan may trust.
    pub(super) cache: StatCache,
}

/// What came of looking at an entry.
enum Look {
    Done,
    /// It became something else meanwhile.
    Changed,
}

/// Walks a whole tree. Files that must be read are handed over and not in the result.
///
/// # Errors
/// When the tree is too large, its top can't be read, or the store fails.
pub(super) fn walk(
    tree: &Dir,
    store: &Store,
    cache: &StatCache,
    hashing: &mut Hashing,
    options: &ScanOptions<'_>,
) -> Result<Found, ScanError> {
    let top = Opened::again(tree.as_fd(), options.max_entries);
    let mut walk = Walk {
        options,
        cache,
        presence: Presence::new(store),
        hashing,
        found: Found::default(),
        met: 0,
        bytes: 0,
    };
    let top = top.map_err(ScanError::io("opening the tree"))?;
    walk.children(&top, &TreePath::top(), 0)?;
    Ok(walk.found)
}

impl Walk<'_> {
    /// Takes in a directory's entries, whose paths begin with `prefix`.
    fn children(
        &mut self,
        directory: &Opened,
        prefix: &TreePath,
        depth: usize,
    ) -> Result<(), ScanError> {
        let mut too_long = false;
        for name in &directory.names {
            let own = depth == 0 && RESERVED_NAMES.iter().any(|reserved| name == *reserved);
            if own {
                continue;
            }
            self.meet(prefix.as_bytes().len() + name.len() + 1)?;
            match prefix.join(name) {
                Ok(path) => self.entry(directory.handle.as_fd(), name, &path, depth)?,
                Err(_) => too_long = true,
            }
        }
        if too_long {
            // What has no valid path can't be listed; its directory stands for it.
            self.skip(prefix, Why::TooDeep);
        }
        Ok(())
    }

    fn meet(&mut self, bytes: usize) -> Result<(), ScanError> {
        self.met += 1;
        self.bytes += bytes;
        let limit = self.options.max_entries;
        if self.met > limit {
            return Err(ScanError::TooManyEntries { limit });
        }
        if self.bytes > manifest::MAX_BYTES {
            return Err(ManifestError::TooLarge.into());
        }
        Ok(())
    }

    fn skip(&mut self, path: &TreePath, why: Why) {
        let path = path.clone();
        self.found.skipped.push(Skipped { path, why });
    }

    fn record(&mut self, path: &TreePath, node: Node) {
        let path = path.clone();
        self.found.entries.push(Entry { path, node });
    }

    fn entry(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsString,
        path: &TreePath,
        depth: usize,
    ) -> Result<(), ScanError> {
        for _ in 0..LOOKS {
            let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => return Ok(()),
                Err(_) => break,
            };
            let looked = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => self.directory(parent, name, path, depth),
                FileType::Symlink => self.symlink(parent, name, path),
                FileType::RegularFile => self.file(parent, name, path, &stat),
                _ => {
                    self.skip(path, Why::Special);
                    Ok(Look::Done)
                }
            };
            if let Look::Done = looked? {
                return Ok(());
            }
        }
        self.skip(path, Why::Unreadable);
        Ok(())
    }

    fn directory(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsString,
        path: &TreePath,
        depth: usize,
    ) -> Result<Look, ScanError> {
        if self.options.excluded_names.iter().any(|own| name == *own) {
            self.skip(path, Why::Excluded);
            return Ok(Look::Done);
        }
        if depth + 2 > self.options.max_depth.min(MAX_DEPTH) {
            self.skip(path, Why::TooDeep);
            return Ok(Look::Done);
        }
        let directory = match Opened::new(parent, name, self.options.max_entries - self.met) {
            Ok(directory) => directory,
            Err(error) => return self.unopened(error, path),
        };
        if directory.is_cache() {
            self.skip(path, Why::Excluded);
            return Ok(Look::Done);
        }
        self.record(path, Node::Directory);
        self.children(&directory, path, depth + 1)?;
        Ok(Look::Done)
    }

    /// What an error says that opening an entry gave.
    ///
    /// # Errors
    /// When it says nothing of the entry, but that this process has too much open.
    fn unopened(&mut self, error: Errno, path: &TreePath) -> Result<Look, ScanError> {
        match error {
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => {
                Err(ScanError::io("opening an entry")(error))
            }
            // Gone, or now a link, a file, a directory or a socket: the next look tells.
            Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO => {
                Ok(Look::Changed)
            }
            _ => {
                self.skip(path, Why::Unreadable);
                Ok(Look::Done)
            }
        }
    }

    fn symlink(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsString,
        path: &TreePath,
    ) -> Result<Look, ScanError> {
        let target = match readlinkat(parent, name, Vec::new()) {
            Ok(target) => target.into_bytes(),
            // It is no link any more.
            Err(Errno::INVAL | Errno::NOENT) => return Ok(Look::Changed),
            Err(error) => return self.unopened(error, path),
        };
        self.bytes += target.len();
        self.record(path, Node::Symlink { target });
        Ok(Look::Done)
    }

    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsString,
        path: &TreePath,
        stat: &Stat,
    ) -> Result<Look, ScanError> {
        if self.known(path, stat)? {
            return Ok(Look::Done);
        }
        let (file, stat) = match open(parent, name) {
            Ok(opened) => opened,
            Err(error) => return self.unopened(error, path),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(Look::Changed);
        }
        if size(&stat) > self.options.max_file_bytes {
            self.skip(path, Why::TooLarge);
            return Ok(Look::Done);
        }
        let path = path.clone();
        self.hashing.hash(Job { path, file, stat })?;
        Ok(Look::Done)
    }

    /// Records a file without reading it, if its metadata and the store allow that.
    fn known(&mut self, path: &TreePath, stat: &Stat) -> Result<bool, ScanError> {
        let Some(stamp) = Stamp::of(stat) else {
            return Ok(false);
        };
        let Some(digest) = self.cache.find(path, &stamp) else {
            return Ok(false);
        };
        let size = size(stat);
        if size > self.options.max_file_bytes || !self.presence.of(&digest)? {
            return Ok(false);
        }
        self.found.cache.insert(path.clone(), stamp, digest);
        let executable = is_executable(stat);
        self.record(
            path,
            Node::File {
                digest,
                size,
                executable,
            },
        );
        Ok(true)
    }
}

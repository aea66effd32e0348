//! Walking a tree to put it into an archive: a local one handle by handle and never through a link,
//! or a recorded one.

use crate::error::{ArchiveError, EntryName};
use crate::limits::Limits;
use crate::link;
use crate::path;
use crate::staging::RESERVED_NAMES;
use crate::store::{Manifest, Node, Store};
use crate::summary::{DroppedKind, Summary};
use crate::tree::{Claim, Tree};
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, FileTypeExt, Metadata, MetadataExt, OpenOptions};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Take};
use std::os::unix::ffi::OsStrExt;

const READING: &str = "reading the source";

/// Takes what a walk finds. Directories come before what they contain.
pub(crate) trait Visitor {
    fn directory(&mut self, path: &str) -> Result<(), ArchiveError>;
    fn file(
        &mut self,
        path: &str,
        executable: bool,
        contents: &mut Bounded,
    ) -> Result<(), ArchiveError>;
    fn symlink(&mut self, path: &str, target: &str) -> Result<(), ArchiveError>;
}

/// Walks `source` in the order of names.
///
/// # Errors
/// When the tree breaks a limit or has twins, or changes while it is read.
pub(crate) fn walk(
    source: &Dir,
    except: Option<&Dir>,
    limits: &Limits,
    visitor: &mut impl Visitor,
) -> Result<Summary, ArchiveError> {
    let except = except
        .map(identity)
        .transpose()
        .map_err(ArchiveError::io(READING))?;
    let mut walk = Walk {
        except,
        found: Found::new(limits, visitor),
    };
    walk.children(source, "")?;
    Ok(walk.found.summary)
}

struct Walk<'a, V> {
    /// Device and inode of a directory that must not be met.
    except: Option<(u64, u64)>,
    found: Found<'a, V>,
}

impl<V: Visitor> Walk<'_, V> {
    fn children(&mut self, directory: &Dir, prefix: &str) -> Result<(), ArchiveError> {
        if self.except == Some(identity(directory).map_err(ArchiveError::io(READING))?) {
            return Err(ArchiveError::DestinationInSource);
        }
        let entries = directory.entries().map_err(ArchiveError::io(READING))?;
        let names: io::Result<Vec<OsString>> = entries
            .take(self.room())
            .map(|entry| Ok(entry?.file_name()))
            .collect();
        let mut names = names.map_err(ArchiveError::io(READING))?;
        names.sort();
        for name in names {
            let own = prefix.is_empty() && RESERVED_NAMES.iter().any(|reserved| name == *reserved);
            if !own {
                self.child(directory, prefix, &name)?;
            }
        }
        Ok(())
    }

    /// One more than can be accepted, so that a huge directory is refused without being listed.
    fn room(&self) -> usize {
        let limit = self.found.limits.max_entries;
        usize::try_from(limit).map_or(usize::MAX, |max| max.saturating_add(3))
    }

    fn child(&mut self, parent: &Dir, prefix: &str, name: &OsString) -> Result<(), ArchiveError> {
        let separator = if prefix.is_empty() { "" } else { "/" };
        let path = [prefix.as_bytes(), separator.as_bytes(), name.as_bytes()].concat();
        let Some(path) = self.found.name(&path)? else {
            return Ok(());
        };
        let metadata = parent
            .symlink_metadata(name)
            .map_err(ArchiveError::io(READING))?;
        self.entry(parent, name, &path, &metadata)
    }

    fn entry(
        &mut self,
        parent: &Dir,
        name: &OsString,
        path: &str,
        metadata: &Metadata,
    ) -> Result<(), ArchiveError> {
        let kind = metadata.file_type();
        if kind.is_dir() {
            self.directory(parent, name, path, metadata)
        } else if kind.is_symlink() {
            let target = parent.read_link_contents(name);
            let target = target.map_err(ArchiveError::io(READING))?;
            self.found.symlink(path, target.as_os_str().as_bytes())
        } else if kind.is_file() {
            self.file(parent, name, path)
        } else {
            let dropped = match kind {
                kind if kind.is_fifo() => DroppedKind::Fifo,
                kind if kind.is_socket() => DroppedKind::Socket,
                _ => DroppedKind::Device,
            };
            self.found.tree.insert(path, Claim::File)?;
            self.found.summary.drop_entry(path, dropped);
            Ok(())
        }
    }

    fn directory(
        &mut self,
        parent: &Dir,
        name: &OsString,
        path: &str,
        metadata: &Metadata,
    ) -> Result<(), ArchiveError> {
        let opened = parent.open_dir_nofollow(name);
        let directory = opened.map_err(ArchiveError::io(READING))?;
        self.note_special_bits(path, metadata);
        self.found.directory(path)?;
        self.children(&directory, path)
    }

    fn file(&mut self, parent: &Dir, name: &OsString, path: &str) -> Result<(), ArchiveError> {
        let (file, metadata) = open(parent, name).map_err(ArchiveError::io(READING))?;
        self.note_special_bits(path, &metadata);
        let executable = metadata.mode() & 0o100 != 0;
        self.found
            .file(path, executable, file.into_std(), metadata.len())
    }

    fn note_special_bits(&mut self, path: &str, metadata: &Metadata) {
        if metadata.mode() & 0o7_000 != 0 {
            let summary = &mut self.found.summary;
            summary.drop_entry(path, DroppedKind::ModeBits);
        }
    }
}

/// Walks what a manifest recorded and the store has, in the order of paths' bytes.
///
/// # Errors
/// When the tree breaks a limit or has twins, or the store fails.
pub(crate) fn walk_manifest(
    store: &Store,
    manifest: &Manifest,
    limits: &Limits,
    visitor: &mut impl Visitor,
) -> Result<Summary, ArchiveError> {
    let mut found = Found::new(limits, visitor);
    for entry in manifest.entries() {
        let Some(path) = found.name(entry.path.as_bytes())? else {
            continue;
        };
        match &entry.node {
            Node::Directory => found.directory(&path)?,
            Node::Symlink { target } => found.symlink(&path, target)?,
            Node::File {
                digest,
                size,
                executable,
            } => {
                let blob = store.get(digest).map_err(io::Error::other);
                let blob = blob.map_err(ArchiveError::io(READING))?;
                found.file(&path, *executable, blob.into(), *size)?;
            }
        }
    }
    Ok(found.summary)
}

/// What is found of a tree: checked, counted and handed on.
struct Found<'a, V> {
    limits: &'a Limits,
    tree: Tree,
    visitor: &'a mut V,
    summary: Summary,
}

impl<'a, V: Visitor> Found<'a, V> {
    fn new(limits: &'a Limits, visitor: &'a mut V) -> Self {
        Self {
            limits,
            tree: Tree::new(limits),
            visitor,
            summary: Summary::default(),
        }
    }

    /// A path as text; none if no archive may carry it, which is noted.
    fn name(&mut self, path: &[u8]) -> Result<Option<String>, ArchiveError> {
        let Ok(text) = std::str::from_utf8(path) else {
            let shown = EntryName::new(path);
            self.summary.drop_entry(shown.as_str(), DroppedKind::Name);
            return Ok(None);
        };
        match path::check(text, self.limits) {
            Err(error) if error.fault() == crate::Fault::Content => {
                self.summary.drop_entry(text, DroppedKind::Name);
                Ok(None)
            }
            checked => checked.map(|_| Some(text.to_owned())),
        }
    }

    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.tree.insert(path, Claim::Directory)?;
        self.visitor.directory(path)?;
        self.summary.directories += 1;
        Ok(())
    }

    fn symlink(&mut self, path: &str, target: &[u8]) -> Result<(), ArchiveError> {
        self.tree.insert(path, Claim::Symlink)?;
        match link::check(path, target, self.limits.max_target_bytes) {
            Ok(target) => {
                self.visitor.symlink(path, target)?;
                self.summary.symlinks += 1;
            }
            Err(_) => self.summary.drop_entry(path, DroppedKind::OutsideLink),
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &str,
        executable: bool,
        file: File,
        bytes: u64,
    ) -> Result<(), ArchiveError> {
        self.tree.insert(path, Claim::File)?;
        self.check(path, bytes)?;
        let mut contents = Bounded {
            file: file.take(bytes),
            read: 0,
        };
        self.visitor.file(path, executable, &mut contents)?;
        self.summary.files += 1;
        self.summary.total_bytes += contents.read;
        Ok(())
    }

    /// Whether a file of so many bytes is within the limits.
    fn check(&self, path: &str, bytes: u64) -> Result<(), ArchiveError> {
        let entry = || EntryName::new(path);
        if bytes > self.limits.max_file_bytes {
            let limit = self.limits.max_file_bytes;
            return Err(ArchiveError::FileTooLarge {
                entry: entry(),
                limit,
            });
        }
        let limit = self.limits.max_total_bytes;
        if bytes > limit.saturating_sub(self.summary.total_bytes) {
            return Err(ArchiveError::TotalTooLarge {
                entry: entry(),
                limit,
            });
        }
        Ok(())
    }
}

/// Opens a regular file. What replaced it since it was listed is neither followed nor waited for.
fn open(parent: &Dir, name: &OsString) -> io::Result<(cap_std::fs::File, Metadata)> {
    let mut options = OpenOptions::new();
    options.read(true).nonblock(true).follow(FollowSymlinks::No);
    let file = parent.open_with(name, &options)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("a file was replaced while it was read"));
    }
    Ok((file, metadata))
}

fn identity(directory: &Dir) -> io::Result<(u64, u64)> {
    let metadata = directory.dir_metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The contents of one file: what it had when it was opened, however it grows while it is read.
pub(crate) struct Bounded {
    file: Take<File>,
    read: u64,
}

impl Bounded {
    /// The most that will come, in bytes.
    pub(crate) fn expected(&self) -> u64 {
        self.file.limit() + self.read
    }

    /// Hands the contents to `write` piece by piece.
    pub(crate) fn for_each(
        &mut self,
        mut write: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let mut buffer = vec![0; 32 << 10];
        loop {
            let length = self
                .file
                .read(&mut buffer)
                .map_err(ArchiveError::io(READING))?;
            if length == 0 {
                return Ok(());
            }
            self.read += length as u64;
            write(&buffer[..length])?;
        }
    }
}

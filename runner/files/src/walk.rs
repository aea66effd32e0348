//! Walking a local tree: handle by handle, never through a link.

use crate::error::{ArchiveError, EntryName};
use crate::limits::Limits;
use crate::link;
use crate::path;
use crate::staging::RESERVED_NAMES;
use crate::summary::{DroppedKind, Summary};
use crate::tree::{Claim, Tree};
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, File, FileTypeExt, Metadata, MetadataExt, OpenOptions};
use std::ffi::OsString;
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
        limits,
        tree: Tree::new(limits),
        visitor,
        summary: Summary::default(),
    };
    walk.children(source, "")?;
    Ok(walk.summary)
}

struct Walk<'a, V> {
    /// Device and inode of a directory that must not be met.
    except: Option<(u64, u64)>,
    limits: &'a Limits,
    tree: Tree,
    visitor: &'a mut V,
    summary: Summary,
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
        usize::try_from(self.limits.max_entries).map_or(usize::MAX, |max| max.saturating_add(3))
    }

    fn child(&mut self, parent: &Dir, prefix: &str, name: &OsString) -> Result<(), ArchiveError> {
        let separator = if prefix.is_empty() { "" } else { "/" };
        let Some(text) = name.to_str() else {
            let shown = EntryName::new(name.as_bytes());
            let path = format!("{prefix}{separator}{}", shown.as_str());
            self.summary.drop_entry(&path, DroppedKind::Name);
            return Ok(());
        };
        let path = format!("{prefix}{separator}{text}");
        match path::check(&path, self.limits) {
            Err(error) if error.fault() == crate::Fault::Content => {
                self.summary.drop_entry(&path, DroppedKind::Name);
                return Ok(());
            }
            checked => checked?,
        }
        let metadata = parent
            .symlink_metadata(text)
            .map_err(ArchiveError::io(READING))?;
        self.entry(parent, text, &path, &metadata)
    }

    fn entry(
        &mut self,
        parent: &Dir,
        name: &str,
        path: &str,
        metadata: &Metadata,
    ) -> Result<(), ArchiveError> {
        let kind = metadata.file_type();
        if kind.is_dir() {
            self.directory(parent, name, path, metadata)
        } else if kind.is_symlink() {
            self.symlink(parent, name, path)
        } else if kind.is_file() {
            self.file(parent, name, path)
        } else {
            let dropped = match kind {
                kind if kind.is_fifo() => DroppedKind::Fifo,
                kind if kind.is_socket() => DroppedKind::Socket,
                _ => DroppedKind::Device,
            };
            self.tree.insert(path, Claim::File)?;
            self.summary.drop_entry(path, dropped);
            Ok(())
        }
    }

    fn directory(
        &mut self,
        parent: &Dir,
        name: &str,
        path: &str,
        metadata: &Metadata,
    ) -> Result<(), ArchiveError> {
        self.tree.insert(path, Claim::Directory)?;
        let opened = parent.open_dir_nofollow(name);
        let directory = opened.map_err(ArchiveError::io(READING))?;
        self.note_special_bits(path, metadata);
        self.visitor.directory(path)?;
        self.summary.directories += 1;
        self.children(&directory, path)
    }

    fn symlink(&mut self, parent: &Dir, name: &str, path: &str) -> Result<(), ArchiveError> {
        let target = parent
            .read_link_contents(name)
            .map_err(ArchiveError::io(READING))?;
        self.tree.insert(path, Claim::Symlink)?;
        let target = target.as_os_str().as_bytes();
        match link::check(path, target, self.limits.max_target_bytes) {
            Ok(target) => {
                self.visitor.symlink(path, target)?;
                self.summary.symlinks += 1;
            }
            Err(_) => self.summary.drop_entry(path, DroppedKind::OutsideLink),
        }
        Ok(())
    }

    fn file(&mut self, parent: &Dir, name: &str, path: &str) -> Result<(), ArchiveError> {
        self.tree.insert(path, Claim::File)?;
        let (file, metadata) = open(parent, name).map_err(ArchiveError::io(READING))?;
        self.note_special_bits(path, &metadata);
        self.check(path, metadata.len())?;
        let mut contents = Bounded {
            file: file.take(metadata.len()),
            read: 0,
        };
        let executable = metadata.mode() & 0o100 != 0;
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

    fn note_special_bits(&mut self, path: &str, metadata: &Metadata) {
        if metadata.mode() & 0o7_000 != 0 {
            self.summary.drop_entry(path, DroppedKind::ModeBits);
        }
    }
}

/// Opens a regular file. What replaced it since it was listed is neither followed nor waited for.
fn open(parent: &Dir, name: &str) -> io::Result<(File, Metadata)> {
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

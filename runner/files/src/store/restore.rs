//! Putting back what a manifest recorded.

use crate::store::blobs::Store;
use crate::store::digest::Digest;
use crate::store::error::StoreError;
use crate::store::manifest::Node;
use crate::tree_path::TreePath;
use cap_std::fs::Dir;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, linkat, mkdirat, openat, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Modes of restored files, where the umask is the usual one.
const USUAL_MODES: [u32; 2] = [0o644, 0o755];

/// Numbers the temporary names of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Why something was not put back. The tree is as it was, but for directories that were made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The path is the top of the tree.
    #[error("the top of the tree is not restored")]
    Top,
    /// Something above the path is no directory but a file or a link, which is not followed.
    #[error("something above {0} is not a directory")]
    NotADirectory(TreePath),
    /// A directory that is not empty is where a file or link is to be.
    #[error("{0} is a directory that is not empty")]
    NotEmpty(TreePath),
    /// The store does not have the contents any more, or they are damaged.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The tree could not be written to.
    #[error("restoring {path} failed")]
    Io {
        /// What was to be restored.
        path: TreePath,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
}

/// Puts what was recorded back at a path, in place of what is there: whole or not at all.
///
/// Directories above are made where they are missing. A link in the way is replaced, and never
/// followed; so is an empty directory. An existing directory stays with what is in it when a
/// directory is put back. Contents are verified before they take the place. Files get mode 0755
/// or 0644, less the process's umask. A process that is killed may leave a file beside it whose
/// name begins with `.membrane-restore-`.
///
/// # Errors
/// Each is a variant of [`RestoreError`].
pub fn restore_file(
    store: &Store,
    node: &Node,
    tree: &Dir,
    path: &TreePath,
) -> Result<(), RestoreError> {
    let (parent, name) = path.split().ok_or(RestoreError::Top)?;
    let parent = make_directories(tree, &parent, path)?;
    let place = Place {
        parent: parent.as_fd(),
        name,
        path,
    };
    match node {
        Node::Directory => place.directory(),
        Node::Symlink { target } => place.symlink(target),
        Node::File {
            digest, executable, ..
        } => place.file(store, digest, *executable),
    }
}

/// Gives a file a second name, at the same path of another tree on the same file system. What is
/// there is not replaced. A file that has other names already, or a mode that no restored file has,
/// would bring them along: that is an error.
pub(super) fn link_file(from: &Dir, to: &Dir, path: &TreePath) -> Result<(), RestoreError> {
    let (parent, name) = path.split().ok_or(RestoreError::Top)?;
    let mut old = open_directory(from.as_fd(), OsStr::new(".")).map_err(failed(path))?;
    for name in parent.names() {
        old = open_directory(old.as_fd(), name).map_err(failed(path))?;
    }
    let stat = statat(&old, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed(path))?;
    if stat.st_nlink != 1 || !USUAL_MODES.contains(&(stat.st_mode & 0o7777)) {
        return Err(failed(path)(Errno::MLINK));
    }
    let new = make_directories(to, &parent, path)?;
    linkat(&old, name, &new, name, AtFlags::empty()).map_err(failed(path))
}

/// Opens a directory name by name, through no link, making what is missing.
fn make_directories(
    tree: &Dir,
    directory: &TreePath,
    path: &TreePath,
) -> Result<OwnedFd, RestoreError> {
    let mut at = open_directory(tree.as_fd(), OsStr::new(".")).map_err(failed(path))?;
    for name in directory.names() {
        let opened = match open_directory(at.as_fd(), name) {
            Err(Errno::NOENT) => {
                make_directory(at.as_fd(), name).map_err(failed(path))?;
                open_directory(at.as_fd(), name)
            }
            opened => opened,
        };
        at = opened.map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP => RestoreError::NotADirectory(path.clone()),
            error => failed(path)(error),
        })?;
    }
    Ok(at)
}

fn open_directory(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Makes a directory; that somebody else was faster is fine.
fn make_directory(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

fn failed(path: &TreePath) -> impl Fn(Errno) -> RestoreError {
    move |error| RestoreError::Io {
        path: path.clone(),
        source: error.into(),
    }
}

/// Where something is to be put.
struct Place<'a> {
    parent: BorrowedFd<'a>,
    name: &'a OsStr,
    path: &'a TreePath,
}

impl Place<'_> {
    fn directory(&self) -> Result<(), RestoreError> {
        let stat = statat(self.parent, self.name, AtFlags::SYMLINK_NOFOLLOW);
        let is_other =
            stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::Directory);
        if is_other {
            let removed = unlinkat(self.parent, self.name, AtFlags::empty());
            removed.map_err(failed(self.path))?;
        }
        make_directory(self.parent, self.name).map_err(failed(self.path))
    }

    fn symlink(&self, target: &[u8]) -> Result<(), RestoreError> {
        let temporary = temporary_name();
        let made = symlinkat(OsStr::from_bytes(target), self.parent, &temporary);
        made.map_err(failed(self.path))?;
        self.put(&temporary)
    }

    fn file(&self, store: &Store, digest: &Digest, executable: bool) -> Result<(), RestoreError> {
        let mut contents = store.get(digest)?;
        let temporary = temporary_name();
        let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let opened = openat(self.parent, &temporary, flags, mode);
        let mut file = File::from(opened.map_err(failed(self.path))?);
        let copied = copy(&mut contents, &mut file);
        let verified = match copied {
            Ok(copied) if copied == *digest => Ok(()),
            Ok(_) => Err(StoreError::Damaged { digest: *digest }.into()),
            Err(source) => Err(RestoreError::Io {
                path: self.path.clone(),
                source,
            }),
        };
        if let Err(error) = verified {
            self.abandon(&temporary);
            return Err(error);
        }
        self.put(&temporary)
    }

    /// Moves what is complete to its place, which an empty directory may hold.
    fn put(&self, temporary: &OsStr) -> Result<(), RestoreError> {
        let rename = || renameat(self.parent, temporary, self.parent, self.name);
        let moved = match rename() {
            Err(Errno::ISDIR) => {
                unlinkat(self.parent, self.name, AtFlags::REMOVEDIR).and_then(|()| rename())
            }
            moved => moved,
        };
        moved.map_err(|error| {
            self.abandon(temporary);
            match error {
                Errno::NOTEMPTY | Errno::EXIST => RestoreError::NotEmpty(self.path.clone()),
                error => failed(self.path)(error),
            }
        })
    }

    fn abandon(&self, temporary: &OsStr) {
        let _ = unlinkat(self.parent, temporary, AtFlags::empty());
    }
}

fn temporary_name() -> OsString {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!(".membrane-restore-{}-{number}", std::process::id()).into()
}

/// Copies and returns the digest of what was copied.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(&buffer[..length]);
        to.write_all(&buffer[..length])?;
    }
}

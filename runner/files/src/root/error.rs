//! Why something was not done to a tree.

use crate::error::ArchiveError;
use crate::tree_path::{PathError, TreePath};
use rustix::io::Errno;
use std::io;

/// Why something was not done. Unless it says otherwise, nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing at the path, or only beyond a link that leaves the tree.
    #[error("there is nothing")]
    NotFound,
    /// Something is where something new should be.
    #[error("{0} already exists")]
    AlreadyExists(TreePath),
    /// A directory is needed, and something else is there; a link, too, where something is changed.
    #[error("{0} is not a directory")]
    NotADirectory(TreePath),
    /// A regular file is needed, and something else is there.
    #[error("{0} is not a regular file")]
    NotAFile(TreePath),
    /// It is not what the caller read.
    #[error("it has changed since it was read")]
    Stale,
    /// A directory can't be put into itself.
    #[error("a directory can't be moved or copied into itself")]
    IntoItself,
    /// The top can't be moved, replaced or deleted.
    #[error("the top can't be moved, copied or deleted")]
    Top,
    /// A path that would come into being is not allowed.
    #[error("a path that would come into being is not allowed: it {0}")]
    Path(#[from] PathError),
    /// Something that can't be copied is in the way.
    #[error("{0} is neither a file, a directory nor a link, and can't be copied")]
    Special(TreePath),
    /// The file system lets this process not do it, for example in a directory without the bits.
    #[error("the permissions of a file or directory do not allow it")]
    Denied,
    /// The tree would have more bytes than it may.
    #[error("the workspace may hold {limit} bytes, its trash included, and this would be more")]
    QuotaBytes {
        /// The quota.
        limit: u64,
    },
    /// The tree would have more entries than it may.
    #[error(
        "the workspace may hold {limit} files and directories, its trash included, and this would be more"
    )]
    QuotaEntries {
        /// The quota.
        limit: u64,
    },
    /// The disk is full.
    #[error("the server's disk is full")]
    DiskFull,
    /// An archive was refused.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Reading or writing failed.
    #[error("file work failed")]
    Io(#[source] io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT) => Self::NotFound,
            Some(Errno::NOSPC | Errno::DQUOT) => Self::DiskFull,
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied,
            // Links that lead out, or round in circles.
            Some(Errno::XDEV | Errno::LOOP) => Self::NotFound,
            // What cap-std answers for a path that leads out.
            None if error.kind() == io::ErrorKind::PermissionDenied => Self::NotFound,
            _ => Self::Io(error),
        }
    }
}

impl From<Errno> for Error {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// Whether something on the way is no directory, be it a file or a link.
pub(super) fn is_no_directory(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::NOTDIR | Errno::LOOP))
}

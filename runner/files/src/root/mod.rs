//! A workspace's tree as people and programs use it: listed, read, written, moved, copied, thrown
//! away and brought back, always beneath directory handles.
//!
//! An agent works in the same tree at the same time and may swap anything for anything. So a path
//! is resolved name by name below its handle and never checked first; where something is changed,
//! no link is followed at all. What is being made is made in a directory beside the tree, which no
//! sandbox sees, and appears in its place by one rename.

use cap_fs_ext::DirExt;
use cap_std::fs::Dir;
use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

mod change;
mod copy;
mod entry;
mod error;
mod exchange;
mod list;
mod measure;
mod read;
mod remove;
mod staging;
mod trash;
mod unpack;
mod usage;
mod write;

pub use entry::{Entry, Etag, Kind};
pub use error::Error;
pub use list::{Listing, Place};
pub use read::Reader;
pub use remove::remove;
pub use trash::{TrashId, TrashItem};
pub use usage::{Amount, Quota, Usage};
pub use write::Condition;

/// The tree, in a workspace's directory.
const FILES: &str = "files";
/// What was deleted.
const TRASH: &str = "trash";
/// What is not yet, or no longer, anything.
const STAGING: &str = "staging";

type Result<T> = std::result::Result<T, Error>;

/// A workspace's tree, and beside it what the sandbox never sees: its trash, and a directory where
/// things are made. Holds three directory handles at most; meant to be opened for each call.
#[derive(Debug)]
pub struct Root {
    base: Dir,
    files: Dir,
    usage: Arc<Usage>,
}

impl Root {
    /// Opens the tree of a workspace whose directory is `base`. All roots of one workspace must
    /// share one [`Usage`].
    ///
    /// # Errors
    /// The file system's own; `NotFound` when the workspace is gone.
    pub fn open(base: Dir, usage: Arc<Usage>) -> io::Result<Self> {
        let files = base.open_dir_nofollow(FILES)?;
        Ok(Self { base, files, usage })
    }

    /// A directory beside the tree, made if absent.
    fn beside(&self, name: &str) -> io::Result<Dir> {
        match self.base.open_dir_nofollow(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        match self.base.create_dir(name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.base.open_dir_nofollow(name),
        }
    }
}

/// Opens a directory of `parent`, never through a link.
fn open_directory(parent: &Dir, name: &OsStr) -> io::Result<Dir> {
    parent.open_dir_nofollow(name)
}

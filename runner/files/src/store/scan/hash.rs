//! Reading and hashing files on other threads while the walk goes on. Hashing is what a first scan
//! spends its time on.

use super::{ScanError, is_executable, size};
use crate::ordered::Ordered;
use crate::store::blobs::Store;
use crate::store::cache::Stamp;
use crate::store::digest::Digest;
use crate::store::error::StoreError;
use crate::store::manifest::Why;
use crate::tree_path::TreePath;
use rustix::fs::{Stat, fstat};
use std::fs::File;
use std::thread::Scope;

/// Files that wait, for each thread. Each is open.
const PIECES: usize = 32;

/// A file to be read.
pub(super) struct Job {
    pub(super) path: TreePath,
    pub(super) file: File,
    /// What was seen of it before it is read.
    pub(super) stat: Stat,
}

/// What became of a file.
pub(super) struct Hashed {
    pub(super) path: TreePath,
    pub(super) outcome: Result<(Digest, u64), Why>,
    pub(super) executable: bool,
    /// Its metadata, if it was the same before and after reading.
    pub(super) stamp: Option<Stamp>,
}

impl Hashed {
    pub(super) fn bytes_read(&self) -> u64 {
        self.outcome.as_ref().map_or(0, |(_, bytes)| *bytes)
    }
}

/// The running threads, and what they have done.
pub(super) struct Hashing {
    files: Ordered<Job, Result<Hashed, StoreError>>,
    done: Vec<Hashed>,
}

impl Hashing {
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        store: &'scope Store,
        max_file_bytes: u64,
    ) -> Result<Self, ScanError> {
        let files = Ordered::start(scope, PIECES, || {
            move |job| hash(job, store, max_file_bytes)
        });
        Ok(Self {
            files: files.map_err(ScanError::io("starting a thread"))?,
            done: Vec::new(),
        })
    }

    /// Hands a file over, waiting for room.
    ///
    /// # Errors
    /// When an earlier file could not be stored.
    pub(super) fn hash(&mut self, job: Job) -> Result<(), StoreError> {
        let done = self.files.make_room().transpose()?;
        self.done.extend(done);
        self.files.push(job);
        Ok(())
    }

    /// Waits until everything is read.
    pub(super) fn finish(mut self) -> Result<Vec<Hashed>, StoreError> {
        while let Some(done) = self.files.next() {
            self.done.push(done?);
        }
        Ok(self.done)
    }
}

fn hash(job: Job, store: &Store, max_file_bytes: u64) -> Result<Hashed, StoreError> {
    let before = Stamp::of(&job.stat);
    let outcome = match store.put_at_most(&job.file, max_file_bytes) {
        Ok(Some(contents)) => Ok(contents),
        Ok(None) => Err(Why::TooLarge),
        Err(StoreError::Source(_)) => Err(Why::Unreadable),
        Err(error) => return Err(error),
    };
    let after = fstat(&job.file).ok().and_then(|stat| Stamp::of(&stat));
    let whole = matches!(outcome, Ok((_, bytes)) if bytes == size(&job.stat));
    Ok(Hashed {
        path: job.path,
        outcome,
        executable: is_executable(&job.stat),
        stamp: before.filter(|stamp| whole && after == Some(*stamp)),
    })
}

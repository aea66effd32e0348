//! Reading files on two threads while the walk goes on.

use super::{ScanError, is_executable, size};
use crate::store::blobs::Store;
use crate::store::cache::Stamp;
use crate::store::digest::Digest;
use crate::store::error::StoreError;
use crate::store::manifest::Why;
use crate::tree_path::TreePath;
use rustix::fs::{Stat, fstat};
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Threads that read and hash. Hashing is what a first scan spends its time on.
const WORKERS: usize = 2;
/// Files that wait for a worker. Each is open.
const WAITING: usize = 64;

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

type Results = Result<Vec<Hashed>, StoreError>;

/// The running threads.
pub(super) struct Workers<'scope> {
    jobs: SyncSender<Job>,
    threads: Vec<ScopedJoinHandle<'scope, Results>>,
}

impl<'scope> Workers<'scope> {
    pub(super) fn start(
        scope: &'scope Scope<'scope, '_>,
        store: &'scope Store,
        max_file_bytes: u64,
    ) -> Result<Self, ScanError> {
        let (jobs, waiting) = sync_channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        let failed = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for _ in 0..WORKERS {
            let worker = Worker {
                store,
                max_file_bytes,
                waiting: Arc::clone(&waiting),
                failed: Arc::clone(&failed),
            };
            let builder = Builder::new().name("membrane-scan".to_owned());
            let thread = builder.spawn_scoped(scope, move || worker.run());
            threads.push(thread.map_err(ScanError::io("starting a thread"))?);
        }
        Ok(Self { jobs, threads })
    }

    /// Hands a file over, waiting for room.
    ///
    /// # Errors
    /// When all workers have stopped after a failure; `finish` tells which.
    pub(super) fn hash(&self, job: Job) -> Result<(), ScanError> {
        self.jobs.send(job).map_err(|_| ScanError::Stopped)
    }

    /// Waits until everything is read.
    pub(super) fn finish(self) -> Results {
        drop(self.jobs);
        let mut hashed = Vec::new();
        for thread in self.threads {
            match thread.join() {
                Ok(results) => hashed.append(&mut results?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(hashed)
    }
}

struct Worker<'s> {
    store: &'s Store,
    max_file_bytes: u64,
    waiting: Arc<Mutex<Receiver<Job>>>,
    /// Whether any worker has failed, so that none goes on.
    failed: Arc<AtomicBool>,
}

impl Worker<'_> {
    fn run(self) -> Results {
        let mut hashed = Vec::new();
        while let Some(job) = self.next() {
            if self.failed.load(Ordering::Relaxed) {
                break;
            }
            match self.hash(job) {
                Ok(one) => hashed.push(one),
                Err(error) => {
                    self.failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(hashed)
    }

    fn next(&self) -> Option<Job> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.recv().ok()
    }

    fn hash(&self, job: Job) -> Result<Hashed, StoreError> {
        let before = Stamp::of(&job.stat);
        let outcome = match self.store.put_at_most(&job.file, self.max_file_bytes) {
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
}

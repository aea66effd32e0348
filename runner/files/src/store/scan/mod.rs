//! Looking at a tree: every entry's metadata, and the contents of those files only whose metadata
//! changed.
//!
//! The tree belongs to somebody else, who may change it at any moment and in any way. Each entry
//! is looked at by its own name beneath a handle of its directory, links are never followed,
//! nothing is waited for, and what was opened is looked at again.

mod hash;
mod opened;
mod presence;
mod walk;

use crate::store::blobs::Store;
use crate::store::cache::StatCache;
use crate::store::error::StoreError;
use crate::store::manifest::{Entry, Manifest, ManifestError, Node, Skipped};
use cap_std::fs::Dir;
use hash::{Hashed, Hashing};
use rustix::fs::Stat;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};
use walk::{Found, walk};

/// What a scan takes in. Limits are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanOptions<'a> {
    /// Number of entries, skipped ones included. More are an error.
    pub max_entries: usize,
    /// Size of a file whose contents are kept, in bytes. A larger one is skipped.
    pub max_file_bytes: u64,
    /// Number of components of a path, at most 255. Directories whose entries would have more are
    /// skipped. A scan has as many directories open.
    pub max_depth: usize,
    /// Names of directories that are skipped wherever they are. Directories with a valid
    /// CACHEDIR.TAG are always skipped.
    pub excluded_names: &'a [&'a str],
}

impl Default for ScanOptions<'_> {
    /// A million entries, 1 GiB a file, 128 levels; without installed packages and bytecode.
    fn default() -> Self {
        Self {
            max_entries: 1_000_000,
            max_file_bytes: 1 << 30,
            max_depth: 128,
            excluded_names: &["node_modules", "__pycache__"],
        }
    }
}

/// What a scan found and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The tree.
    pub manifest: Manifest,
    /// What was done for it.
    pub summary: ScanSummary,
}

/// What was done to make a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanSummary {
    /// Entries of the manifest.
    pub entries: u64,
    /// Files whose contents were read.
    pub hashed_files: u64,
    /// Bytes that were read of them.
    pub hashed_bytes: u64,
}

/// Why there is no manifest. What could not be read of the tree is no reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The tree has too many entries.
    #[error("the tree has more than {limit} entries")]
    TooManyEntries {
        /// The most that are taken.
        limit: usize,
    },
    /// The paths are too long together.
    #[error("the tree makes no manifest")]
    Manifest(#[from] ManifestError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The top of the tree could not be read, or a thread not be started.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
}

impl ScanError {
    fn io<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Io {
            doing,
            source: error.into(),
        }
    }
}

/// Makes the manifest of a tree, and stores the contents of its files.
///
/// `cache` must come from this store's index, and is brought up to date; the caller writes it back.
/// `now` is the time at which the scan begins. The manifest is not saved.
///
/// The tree may change meanwhile. Then each file has contents that were read from it, though
/// perhaps not all from the same moment; what vanishes meanwhile is as if it had not been there.
/// Names at the top that an import uses itself are left out.
///
/// # Errors
/// When the tree is too large or the store fails. What cannot be read is listed as skipped.
pub fn scan(
    tree: &Dir,
    store: &Store,
    cache: &mut StatCache,
    now: SystemTime,
    options: &ScanOptions<'_>,
) -> Result<Scan, ScanError> {
    let (mut found, hashed) = std::thread::scope(|scope| {
        let mut hashing = Hashing::start(scope, store, options.max_file_bytes)?;
        let found = walk(tree, store, cache, &mut hashing, options)?;
        Ok::<_, ScanError>((found, hashing.finish()?))
    })?;
    let mut summary = ScanSummary::default();
    for file in hashed {
        summary.hashed_files += 1;
        summary.hashed_bytes += file.bytes_read();
        add(file, nanoseconds(now), &mut found);
    }
    summary.entries = found.entries.len() as u64;
    let manifest = Manifest::new(found.entries, found.skipped)?;
    *cache = found.cache;
    Ok(Scan { manifest, summary })
}

/// Takes in what a worker says of a file.
fn add(hashed: Hashed, now: i128, found: &mut Found) {
    let path = hashed.path;
    let (digest, size) = match hashed.outcome {
        Ok(contents) => contents,
        Err(why) => return found.skipped.push(Skipped { path, why }),
    };
    if let Some(stamp) = hashed.stamp.filter(|stamp| !stamp.is_racy(now)) {
        found.cache.insert(path.clone(), stamp, digest);
    }
    let node = Node::File {
        digest,
        size,
        executable: hashed.executable,
    };
    found.entries.push(Entry { path, node });
}

/// Time since 1970 in nanoseconds; before it, 0, so that nothing is old enough to be trusted.
fn nanoseconds(now: SystemTime) -> i128 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

fn is_executable(stat: &Stat) -> bool {
    stat.st_mode & 0o100 != 0
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

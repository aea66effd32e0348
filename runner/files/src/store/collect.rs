//! Removing contents that no manifest needs any more.

use crate::store::blobs::{Store, gone};
use crate::store::digest::Digest;
use crate::store::error::StoreError;
use crate::store::manifest::Node;
use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FlockOperation, Stat, statat, unlinkat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const COLLECTING: &str = "collecting what nobody needs";
const MEASURING: &str = "measuring what there is";

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Number of contents and temporary files.
    pub blobs: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
}

/// Removes all contents but the manifests `roots`, what they list, what the store's index lists,
/// and what was put within `grace` before `now`; and temporary files that are older than that.
///
/// `grace` must be longer than any scan takes together with the saving of its manifest, and of its
/// index. Then contents that are put meanwhile, or were there and are put once more, are spared.
///
/// # Errors
/// When a root is missing, damaged or no manifest, nothing is removed. When the store fails, what
/// was removed until then stays so.
pub fn collect(
    store: &Store,
    roots: impl IntoIterator<Item = Digest>,
    now: SystemTime,
    grace: Duration,
) -> Result<Collected, StoreError> {
    let mut needed: HashSet<Digest> = store.read_index()?.digests().collect();
    for root in roots {
        needed.insert(root);
        let manifest = store.load_manifest(&root)?;
        needed.extend(
            manifest
                .entries()
                .iter()
                .filter_map(|entry| digest(&entry.node)),
        );
    }
    // Whatever is before the epoch is not old enough.
    let before = now.checked_sub(grace).unwrap_or(UNIX_EPOCH);
    let mut sweep = Sweep {
        store,
        before: before.duration_since(UNIX_EPOCH).unwrap_or_default(),
        collected: Collected::default(),
    };
    sweep.blobs(&needed)?;
    for name in names(&store.temporary)? {
        sweep.file(&store.temporary, &name)?;
    }
    Ok(sweep.collected)
}

fn digest(node: &Node) -> Option<Digest> {
    match node {
        Node::File { digest, .. } => Some(*digest),
        _ => None,
    }
}

impl Store {
    /// How many bytes all contents have together.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn measure(&self) -> Result<u64, StoreError> {
        let mut bytes: u64 = 0;
        for shard in names(&self.blobs)? {
            let opened = self.blobs.open_dir_nofollow(&shard);
            let directory = opened.map_err(StoreError::io(MEASURING))?;
            for name in names(&directory)? {
                match statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => bytes += u64::try_from(stat.st_size).unwrap_or(0),
                    Err(Errno::NOENT) => {}
                    Err(error) => return Err(StoreError::io(MEASURING)(error)),
                }
            }
        }
        Ok(bytes)
    }
}

struct Sweep<'s> {
    store: &'s Store,
    /// Since 1970: what is older goes.
    before: Duration,
    collected: Collected,
}

impl Sweep<'_> {
    fn blobs(&mut self, needed: &HashSet<Digest>) -> Result<(), StoreError> {
        for shard in names(&self.store.blobs)? {
            let opened = self.store.blobs.open_dir_nofollow(&shard);
            let directory = opened.map_err(StoreError::io(COLLECTING))?;
            for name in names(&directory)? {
                let kept = named(&shard, &name).is_some_and(|digest| needed.contains(&digest));
                if !kept {
                    self.file(&directory, &name)?;
                }
            }
        }
        Ok(())
    }

    /// Removes one file if it is old. Nobody makes it new between looking and removing.
    fn file(&mut self, directory: &Dir, name: &OsStr) -> Result<(), StoreError> {
        let _removing = self.store.lock(FlockOperation::LockExclusive)?;
        let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(StoreError::io(COLLECTING)(error)),
        };
        if modified(&stat) >= self.before {
            return Ok(());
        }
        gone(unlinkat(directory, name, AtFlags::empty())).map_err(StoreError::io(COLLECTING))?;
        self.collected.blobs += 1;
        self.collected.bytes += u64::try_from(stat.st_size).unwrap_or(0);
        Ok(())
    }
}

fn modified(stat: &Stat) -> Duration {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

/// The contents whose name a file has.
fn named(shard: &OsStr, name: &OsStr) -> Option<Digest> {
    let text = format!("blake3:{}{}", shard.to_str()?, name.to_str()?);
    text.parse().ok()
}

fn names(directory: &Dir) -> Result<Vec<OsString>, StoreError> {
    crate::staging::names(directory).map_err(StoreError::io(COLLECTING))
}

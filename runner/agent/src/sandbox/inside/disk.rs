//! What the workspace's files and HOME take up. Walking a tree is dear, so a thread of its own does
//! it: when the file system has lost room, and now and then, since others may have made room
//! meanwhile.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

use rustix::fs::statvfs;

use super::super::limits::{Limit, Limits};
use super::super::{HOME, WORKSPACE};

/// How much a file system may lose before trees are walked again.
const BYTES_UNSEEN: u64 = 64 << 20;
const ENTRIES_UNSEEN: u64 = 5_000;
/// Ticks between two walks at most, unless a walk takes more than a fraction of that.
const TICKS_UNSEEN: u64 = 15;
const WALKING_FRACTION: u64 = 50;
const BLOCK_BYTES: u64 = 512;

/// How full a file system is.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    bytes: u64,
    entries: u64,
}

/// Watches both trees.
#[derive(Debug)]
pub(super) struct Disk {
    limits: Limits,
    /// When trees were walked last, or when the command was started.
    seen: Level,
    /// Since then.
    ticks: u64,
    /// How many of them the walk took.
    walked: u64,
    walking: Option<Receiver<Option<Limit>>>,
}

impl Disk {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            seen: level(),
            ticks: 0,
            walked: 0,
            walking: None,
        }
    }

    /// The limit that was exceeded when the trees were walked last.
    pub(super) fn exceeded(&mut self) -> Option<Limit> {
        self.ticks += 1;
        match self.walking.as_ref().map(Receiver::try_recv) {
            Some(Err(TryRecvError::Empty)) => return None,
            Some(Ok(Some(limit))) => return Some(limit),
            Some(Ok(None) | Err(TryRecvError::Disconnected)) => {
                self.walking = None;
                // One that was over before anybody looked took no time.
                self.walked = self.ticks.saturating_sub(1);
            }
            None => {}
        }
        let now = level();
        if self.is_due(now) {
            self.seen = now;
            self.ticks = 0;
            self.walking = self.walk();
        }
        None
    }

    fn is_due(&self, now: Level) -> bool {
        self.ticks >= TICKS_UNSEEN.max(self.walked * WALKING_FRACTION)
            || now.bytes.saturating_sub(self.seen.bytes) > BYTES_UNSEEN
            || now.entries.saturating_sub(self.seen.entries) > ENTRIES_UNSEEN
    }

    fn walk(&self) -> Option<Receiver<Option<Limit>>> {
        let limits = self.limits;
        let (tell, told) = sync_channel(1);
        let walk = move || {
            let _ = tell.send(exceeded_by(&[WORKSPACE, HOME].map(PathBuf::from), &limits));
        };
        let started = thread::Builder::new().spawn(walk);
        started.is_ok().then_some(told)
    }
}

/// How full the workspace's file system is; HOME is on the same.
fn level() -> Level {
    let Ok(found) = statvfs(WORKSPACE) else {
        return Level::default();
    };
    Level {
        bytes: found.f_blocks.saturating_sub(found.f_bfree) * found.f_frsize,
        entries: found.f_files.saturating_sub(found.f_ffree),
    }
}

/// Which limit of a disk trees exceed together, if they do. Adds up, through no link, until that is known;
/// what can't be seen counts nothing.
#[must_use]
pub fn exceeded_by(tops: &[PathBuf], limits: &Limits) -> Option<Limit> {
    let (mut bytes, mut entries) = (0, 0);
    let mut left = tops.to_vec();
    while let Some(directory) = left.pop() {
        for (path, metadata) in listed(&directory) {
            entries += 1;
            bytes += metadata.blocks() * BLOCK_BYTES;
            if metadata.is_dir() {
                left.push(path);
            }
            if entries > limits.disk_entries {
                return Some(Limit::DiskEntries);
            }
            if bytes > limits.disk_bytes {
                return Some(Limit::DiskBytes);
            }
        }
    }
    None
}

/// What is in a directory, as far as it can be seen.
fn listed(directory: &Path) -> impl Iterator<Item = (PathBuf, fs::Metadata)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(disk_bytes: u64, disk_entries: u64) -> Limits {
        Limits {
            disk_bytes,
            disk_entries,
            ..Limits::default()
        }
    }

    #[test]
    fn a_tree_is_added_up_until_a_limit_is_exceeded() {
        let top = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(top.path().join("a/b")).expect("directories");
        fs::write(top.path().join("a/b/file"), vec![1; 100_000]).expect("a file");
        let tops = [top.path().to_owned()];
        assert_eq!(exceeded_by(&tops, &limits(1 << 20, 3)), None);
        let entries = exceeded_by(&tops, &limits(1 << 20, 2));
        assert_eq!(entries, Some(Limit::DiskEntries));
        let bytes = exceeded_by(&tops, &limits(50_000, 10));
        assert_eq!(bytes, Some(Limit::DiskBytes));
    }
}

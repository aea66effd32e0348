//! What the agent has read, so that it can't overwrite what it has not seen.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cap_std::fs::{Metadata, MetadataExt};

use super::failure::Failure;
use super::paths::Place;

/// So many files are remembered; then all are forgotten, and have to be read again.
const FILES_MAX: usize = 10_000;

/// A file's state, as far as one can tell without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

/// Stamps of the files that were read, by their place behind all links.
#[derive(Debug, Default)]
pub(super) struct Seen {
    stamps: Mutex<HashMap<Place, Stamp>>,
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.len(),
            inode: metadata.ino(),
        }
    }
}

impl Seen {
    /// Remembers a file as it was when it was opened.
    pub(super) fn remember(&self, place: Place, stamp: Stamp) {
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if stamps.len() >= FILES_MAX {
            stamps.clear();
        }
        stamps.insert(place, stamp);
    }

    /// Refuses a file that was not read, or not as it is now.
    pub(super) fn check(&self, place: &Place, now: Stamp) -> Result<(), Failure> {
        let stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        match stamps.get(place) {
            Some(then) if *then == now => Ok(()),
            Some(_) => Err(Failure::new(format!(
                "{} has changed since it was read. Read it again first.",
                place.shown()
            ))),
            None => Err(Failure::new(format!(
                "{} has not been read yet. Read it first.",
                place.shown()
            ))),
        }
    }
}

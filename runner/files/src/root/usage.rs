//! What a workspace's files take and may take, and whose turn it is to change them.

use super::{Error, Result};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Bytes and entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Sum of the sizes of regular files.
    pub bytes: u64,
    /// Files, directories, links and everything else.
    pub entries: u64,
}

/// The most that a workspace may hold, its trash and its unfinished uploads included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Sum of the sizes of regular files.
    pub max_bytes: u64,
    /// Number of entries.
    pub max_entries: u64,
}

impl Default for Quota {
    /// 10 GiB and a million entries.
    fn default() -> Self {
        Self {
            max_bytes: 10 << 30,
            max_entries: 1_000_000,
        }
    }
}

/// One workspace's account, shared by everything that changes it through a [`super::Root`]. What
/// the agent changes is only seen when the tree is measured again.
#[derive(Debug)]
pub struct Usage {
    quota: Quota,
    /// `None` until the tree has been measured.
    used: Mutex<Option<Amount>>,
    /// Held while something is checked and then changed.
    changing: Mutex<()>,
    /// Held while the tree is measured.
    measuring: Mutex<()>,
    /// Shared by those who change parts of the tree, held alone by who puts another in its place.
    whole: RwLock<()>,
}

impl Usage {
    /// An account that nobody has measured yet.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self {
            quota,
            used: Mutex::default(),
            changing: Mutex::default(),
            measuring: Mutex::default(),
            whole: RwLock::default(),
        }
    }

    /// Forgets what was measured, so that the next change measures again.
    pub fn forget(&self) {
        *self.used() = None;
    }

    /// The quota.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// What was last measured, and what was added since.
    #[must_use]
    pub fn known(&self) -> Option<Amount> {
        *self.used()
    }

    /// Waits until nobody else measures the same tree.
    pub fn measuring(&self) -> MutexGuard<'_, ()> {
        let turn = self.measuring.lock();
        turn.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the tree is nobody's alone, for whoever opens it to change parts of it: what a
    /// [`super::Root`] holds is the tree that was there when it was opened.
    pub fn in_part(&self) -> RwLockReadGuard<'_, ()> {
        self.whole.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody changes parts of the tree. Needed to call [`super::Root::exchange`], from
    /// before the tree is looked at.
    pub fn as_a_whole(&self) -> RwLockWriteGuard<'_, ()> {
        self.whole.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, used: Amount) {
        *self.used() = Some(used);
    }

    /// What may still be added; everything if nobody has measured.
    pub(super) fn room(&self) -> Amount {
        let used = self.used().unwrap_or_default();
        Amount {
            bytes: self.quota.max_bytes.saturating_sub(used.bytes),
            entries: self.quota.max_entries.saturating_sub(used.entries),
        }
    }

    /// Takes room for something that is about to be made. Dropping the answer gives it back.
    pub(super) fn reserve(&self, amount: Amount) -> Result<Reservation<'_>> {
        let mut used = self.used();
        let sum = used.unwrap_or_default().plus(amount);
        if amount.bytes > 0 && sum.bytes > self.quota.max_bytes {
            let limit = self.quota.max_bytes;
            return Err(Error::QuotaBytes { limit });
        }
        if amount.entries > 0 && sum.entries > self.quota.max_entries {
            let limit = self.quota.max_entries;
            return Err(Error::QuotaEntries { limit });
        }
        if let Some(used) = used.as_mut() {
            *used = sum;
        }
        Ok(Reservation {
            usage: self,
            amount,
        })
    }

    /// Gives back what something had that is gone.
    pub fn release(&self, amount: Amount) {
        if let Some(used) = self.used().as_mut() {
            used.bytes = used.bytes.saturating_sub(amount.bytes);
            used.entries = used.entries.saturating_sub(amount.entries);
        }
    }

    /// Waits for its turn to check and change something. Never held while contents are written.
    pub(super) fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> MutexGuard<'_, Option<Amount>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Amount {
    /// One entry with so many bytes.
    #[must_use]
    pub fn file(bytes: u64) -> Self {
        Self { bytes, entries: 1 }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            entries: self.entries.saturating_add(other.entries),
        }
    }
}

/// Room that has been taken.
#[derive(Debug)]
pub(super) struct Reservation<'u> {
    usage: &'u Usage,
    amount: Amount,
}

impl Reservation<'_> {
    /// Takes more for the same thing.
    pub(super) fn grow(&mut self, amount: Amount) -> Result<()> {
        self.usage.reserve(amount)?.keep();
        self.amount = self.amount.plus(amount);
        Ok(())
    }

    /// What was made is there to stay.
    pub(super) fn keep(mut self) {
        self.amount = Amount::default();
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.usage.release(self.amount);
    }
}

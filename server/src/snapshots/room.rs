//! How much may be sent to workspaces' stores: bytes of each store, and uploads of each user at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use membrane_files::store::Store;
use tokio::time::Instant;

use crate::{
    changes::broken,
    error::Error,
    id::{UserId, WorkspaceId},
};

/// Bytes of a store beyond which nothing more is taken: twice what the files may have.
const LIMIT: u64 = 20 << 30;
/// A store that seems full is measured again, but not sooner: contents may have been let go of since,
/// or have been there already.
const MEASURED: Duration = Duration::from_secs(5);
/// Uploads of one user at the same time.
const SENDING: usize = 4;

/// What stores have, and who sends. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Room {
    limit: u64,
    stores: Arc<Mutex<HashMap<WorkspaceId, Known>>>,
    sending: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// What a store had when it was measured, and was given since.
#[derive(Debug, Clone, Copy)]
struct Known {
    bytes: u64,
    measured: Instant,
}

/// One upload of a user; given back when dropped.
#[derive(Debug)]
pub struct Sending {
    room: Room,
    user: UserId,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(LIMIT)
    }
}

impl Room {
    fn new(limit: u64) -> Self {
        Self {
            limit,
            stores: Arc::default(),
            sending: Arc::default(),
        }
    }

    /// Refuses what is about to be put into a store that is full. What fits in part is taken.
    ///
    /// # Errors
    /// [`Error::Exhausted`] with STORE_FULL; when the store can't be read.
    pub(super) fn check(&self, workspace: WorkspaceId, store: &Store) -> Result<(), Error> {
        if !self.is_known(workspace) {
            self.learn(workspace, store.measure().map_err(broken)?);
        }
        self.verdict(workspace)
    }

    /// The same for what a workspace has elsewhere; `measure` says how much that is.
    ///
    /// # Errors
    /// [`Error::Exhausted`] with STORE_FULL; those of `measure`.
    pub(super) async fn check_elsewhere(
        &self,
        workspace: WorkspaceId,
        measure: impl Future<Output = Result<u64, Error>>,
    ) -> Result<(), Error> {
        if !self.is_known(workspace) {
            self.learn(workspace, measure.await?);
        }
        self.verdict(workspace)
    }

    /// Notes what was put into a store.
    pub(super) fn add(&self, workspace: WorkspaceId, bytes: u64) {
        if let Some(known) = lock(&self.stores).get_mut(&workspace) {
            known.bytes = known.bytes.saturating_add(bytes);
        }
    }

    /// Whether a store needs no measuring before it is decided.
    fn is_known(&self, workspace: WorkspaceId) -> bool {
        let is_good =
            |known: &Known| known.bytes < self.limit || known.measured.elapsed() < MEASURED;
        lock(&self.stores).get(&workspace).is_some_and(is_good)
    }

    fn learn(&self, workspace: WorkspaceId, bytes: u64) {
        let measured = Instant::now();
        lock(&self.stores).insert(workspace, Known { bytes, measured });
    }

    fn verdict(&self, workspace: WorkspaceId) -> Result<(), Error> {
        let known = lock(&self.stores).get(&workspace).copied();
        if known.is_none_or(|known| known.bytes < self.limit) {
            return Ok(());
        }
        Err(Error::Exhausted {
            reason: "STORE_FULL",
            message: format!(
                "snapshots and changes of this workspace may have {} bytes; delete some snapshots",
                self.limit
            ),
        })
    }

    /// Lets a user send something, if they do not send too much already.
    ///
    /// # Errors
    /// [`Error::Exhausted`] with UPLOADS.
    pub(super) fn begin(&self, user: UserId) -> Result<Sending, Error> {
        let mut sending = lock(&self.sending);
        let count = sending.entry(user).or_default();
        if *count >= SENDING {
            return Err(Error::Exhausted {
                reason: "UPLOADS",
                message: format!("you can send at most {SENDING} things at the same time"),
            });
        }
        *count += 1;
        Ok(Sending {
            room: self.clone(),
            user,
        })
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut sending = lock(&self.room.sending);
        let Some(count) = sending.get_mut(&self.user) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            sending.remove(&self.user);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change leaves the map whole, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use cap_std::{ambient_authority, fs::Dir};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_takes_what_fits_and_more_when_something_is_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || {
            let directory = Dir::open_ambient_dir(directory.path(), ambient_authority());
            Store::open(directory.expect("opened")).expect("a store")
        };
        open().put_bytes(&[7; 600]).expect("stored");
        let (room, workspace) = (Room::new(1_000), WorkspaceId::new());
        let check = || {
            room.check(workspace, &open())
                .map_err(|error| error.reason())
        };
        assert_eq!(check(), Ok(()));
        room.add(workspace, 400);
        assert_eq!(check(), Err("STORE_FULL"));
        // It was there already.
        tokio::time::advance(MEASURED + Duration::from_secs(1)).await;
        assert_eq!(check(), Ok(()));
        open().put_bytes(&[8; 401]).expect("stored");
        room.add(workspace, 401);
        tokio::time::advance(MEASURED + Duration::from_secs(1)).await;
        assert_eq!(check(), Err("STORE_FULL"));
        let elsewhere = Room::new(2_000).check(workspace, &open());
        assert!(elsewhere.is_ok());
    }

    #[test]
    fn a_user_sends_so_much_at_a_time() {
        let (room, user) = (Room::default(), UserId::new());
        let mut sending: Vec<_> = (0..SENDING).map(|_| room.begin(user)).collect();
        assert!(sending.iter().all(Result::is_ok));
        assert!(room.begin(user).is_err());
        assert!(room.begin(UserId::new()).is_ok());
        sending.pop();
        assert!(room.begin(user).is_ok());
    }
}

//! What changes in workspaces' files: recorded before and after every turn, kept as change sets,
//! shown, and undone.
//!
//! A turn's changes are what its workspace's whole tree shows, so that a command's are seen as well
//! as a tool's. What people changed before the turn is a set of its own, and so is what they
//! changed through the server while it ran.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{clock::Clock, db::Database, id::WorkspaceId, objects::Bucket, workspaces::Places};

mod collect;
mod delta;
mod diff;
mod discard;
mod elsewhere;
mod peoples;
mod record;
mod sensitive;
mod show;
mod trees;

pub use discard::{Discard, Discarded};
pub use record::{Recorded, Recording};
pub use show::{Page, Scope};

pub(crate) use delta::between_with;
pub(crate) use record::skipped;
pub(crate) use trees::{Tree, broken, named, refused};

use peoples::Touched;

/// Records and shows changes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Changes {
    database: Database,
    places: Places,
    clock: Clock,
    /// Where what snapshots need is kept, if not in workspaces' stores.
    bucket: Option<Bucket>,
    /// What people touched in workspaces where a turn works, since it began.
    touched: Arc<Mutex<HashMap<WorkspaceId, Vec<Touched>>>>,
}

impl Changes {
    /// Changes of the workspaces in these places. What snapshots need is kept in a bucket, if there is
    /// one.
    #[must_use]
    pub fn new(database: Database, places: Places, clock: Clock, bucket: Option<Bucket>) -> Self {
        Self {
            database,
            places,
            clock,
            bucket,
            touched: Arc::default(),
        }
    }

    fn touched(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Vec<Touched>>> {
        // Every change of the map is a single call, so a panic elsewhere leaves it whole.
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! One turn at a time in a workspace: a fair line for each. Where servers share a workspace, the first
//! of a line also takes it from the others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Turnstile, OwnedMutexGuard},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    db::Database,
    error::Error,
    id::{ServerId, WorkspaceId},
    tasks::to_the_end,
};

/// How often it is tried to take a workspace that another server has.
const RETRY: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Line {
    turnstile: Arc<Turnstile<()>>,
    /// Turns in the line, the one that works included.
    length: usize,
    /// Workers that have left and not given the workspace back to the other servers yet.
    leaving: usize,
}

/// The lines of all workspaces. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lanes {
    lines: Arc<Mutex<HashMap<WorkspaceId, Line>>>,
    database: Database,
    server: ServerId,
}

/// A place in a workspace's line; left when dropped.
#[derive(Debug)]
pub struct Spot {
    lanes: Lanes,
    workspace: WorkspaceId,
    turnstile: Arc<Turnstile<()>>,
    /// Turns before this one when it joined.
    pub ahead: usize,
}

impl Lanes {
    /// The lines of a server; nobody waits yet.
    #[must_use]
    pub fn new(database: Database, server: ServerId) -> Self {
        Self {
            lines: Arc::default(),
            database,
            server,
        }
    }

    /// Joins a workspace's line at its end.
    #[must_use]
    pub fn join(&self, workspace: WorkspaceId) -> Spot {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(workspace).or_default();
        let ahead = line.length;
        line.length += 1;
        Spot {
            lanes: self.clone(),
            workspace,
            turnstile: line.turnstile.clone(),
            ahead,
        }
    }
}

/// That nobody else works in a workspace, as long as it lives.
#[derive(Debug)]
pub struct Alone {
    _working: Working,
    _spot: Spot,
}

impl Lanes {
    /// Takes a workspace for something short that no turn may meet; `None` while there is a line, or
    /// another server has it.
    ///
    /// # Errors
    /// The database's own.
    pub async fn alone(&self, workspace: WorkspaceId) -> Result<Option<Alone>, Error> {
        let spot = self.join(workspace);
        if spot.ahead > 0 {
            return Ok(None);
        }
        let mut working = spot.pass().await;
        if !working.take().await? {
            return Ok(None);
        }
        Ok(Some(Alone {
            _working: working,
            _spot: spot,
        }))
    }
}

impl Lanes {
    /// Gives a workspace back to the other servers, and lets one go first that waits.
    async fn release(&self, workspace: WorkspaceId) {
        loop {
            let released = self.database.release_workspace(workspace, self.server);
            match released.await {
                Ok(true) => return sleep(RETRY * 2).await,
                Ok(false) => return,
                Err(error) => Error::from(error).log(),
            }
            sleep(RETRY).await;
        }
    }

    /// Changes a line, which goes when nobody is in it any more.
    fn change(&self, workspace: WorkspaceId, change: impl FnOnce(&mut Line)) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(line) = lines.get_mut(&workspace) else {
            return;
        };
        change(line);
        if line.length == 0 && line.leaving == 0 {
            lines.remove(&workspace);
        }
    }
}

impl Spot {
    /// Waits for the turn to work. Drop the answer to let the next one.
    ///
    /// # Errors
    /// The database's own.
    pub async fn enter(&self) -> Result<Working, Error> {
        let mut working = self.pass().await;
        if !working.is_shared() {
            return Ok(working);
        }
        // What has been taken is given back, also when nobody waits for it any more.
        let waited_for = CancellationToken::new();
        let abandoned = waited_for.clone();
        let _waiting = waited_for.drop_guard();
        to_the_end(async move {
            while !abandoned.is_cancelled() && !working.take().await? {
                sleep(RETRY).await;
            }
            Ok(working)
        })
        .await
    }

    async fn pass(&self) -> Working {
        Working {
            lanes: self.lanes.clone(),
            workspace: self.workspace,
            turnstile: Some(self.turnstile.clone().lock_owned().await),
            is_held: false,
        }
    }
}

/// The right to work in a workspace; given back when dropped.
#[derive(Debug)]
pub struct Working {
    lanes: Lanes,
    workspace: WorkspaceId,
    /// There until it is dropped.
    turnstile: Option<OwnedMutexGuard<()>>,
    /// Whether it may have been taken from the other servers.
    is_held: bool,
}

impl Working {
    fn is_shared(&self) -> bool {
        self.lanes.database.is_shared()
    }

    /// Takes the workspace from the other servers; answers whether it is taken.
    async fn take(&mut self) -> Result<bool, Error> {
        if !self.is_shared() {
            return Ok(true);
        }
        // Noted before: nobody knows what a call that fails has done.
        self.is_held = true;
        let lanes = &self.lanes;
        let taken = lanes.database.hold_workspace(self.workspace, lanes.server);
        let taken = taken.await?;
        self.is_held = taken;
        Ok(taken)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if !self.is_held {
            return;
        }
        let (lanes, workspace) = (self.lanes.clone(), self.workspace);
        // The next in line waits until it is given back, and whoever came first has it.
        let turnstile = self.turnstile.take();
        lanes.change(workspace, |line| line.leaving += 1);
        tokio::spawn(async move {
            lanes.release(workspace).await;
            drop(turnstile);
            lanes.change(workspace, |line| line.leaving -= 1);
        });
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        self.lanes.change(self.workspace, |line| line.length -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_of_one_workspace_work_one_after_the_other() {
        let directory = tempfile::tempdir().expect("a directory");
        let url = Database::url_of(&directory.path().join("membrane.db"));
        let database = Database::open(&url).await.expect("a database");
        let lanes = Lanes::new(database, ServerId::new());
        let workspace = WorkspaceId::new();
        let (first, second) = (lanes.join(workspace), lanes.join(workspace));
        assert_eq!((first.ahead, second.ahead), (0, 1));
        let working = first.enter().await.expect("entered");
        assert!(second.turnstile.try_lock().is_err());
        drop(working);
        drop(first);
        let _working = second.enter().await.expect("entered");
        assert_eq!(lanes.join(WorkspaceId::new()).ahead, 0);
        let taken = lanes.alone(workspace).await.expect("an answer");
        assert!(taken.is_none());
        let free = lanes.alone(WorkspaceId::new()).await.expect("an answer");
        assert!(free.is_some());
    }
}

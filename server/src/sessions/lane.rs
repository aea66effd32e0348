//! One turn at a time in a workspace: a fair line for each.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as Turnstile, OwnedMutexGuard};

use crate::id::WorkspaceId;

#[derive(Debug, Default)]
struct Line {
    turnstile: Arc<Turnstile<()>>,
    /// Turns in the line, the one that works included.
    length: usize,
}

/// The lines of all workspaces. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lanes {
    lines: Arc<Mutex<HashMap<WorkspaceId, Line>>>,
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
    _working: OwnedMutexGuard<()>,
    _spot: Spot,
}

impl Lanes {
    /// Takes a workspace for something short that no turn may meet; `None` while there is a line.
    pub async fn alone(&self, workspace: WorkspaceId) -> Option<Alone> {
        let spot = self.join(workspace);
        if spot.ahead > 0 {
            return None;
        }
        Some(Alone {
            _working: spot.enter().await,
            _spot: spot,
        })
    }
}

impl Spot {
    /// Waits for the turn to work. Drop the answer to let the next one.
    pub async fn enter(&self) -> OwnedMutexGuard<()> {
        self.turnstile.clone().lock_owned().await
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        let mut lines = self
            .lanes
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(&self.workspace) {
            line.length -= 1;
            if line.length == 0 {
                lines.remove(&self.workspace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_of_one_workspace_work_one_after_the_other() {
        let lanes = Lanes::default();
        let workspace = WorkspaceId::new();
        let (first, second) = (lanes.join(workspace), lanes.join(workspace));
        assert_eq!((first.ahead, second.ahead), (0, 1));
        let working = first.enter().await;
        assert!(second.turnstile.try_lock().is_err());
        drop(working);
        drop(first);
        let _working = second.enter().await;
        assert_eq!(lanes.join(WorkspaceId::new()).ahead, 0);
        assert!(lanes.alone(workspace).await.is_none());
        assert!(lanes.alone(WorkspaceId::new()).await.is_some());
    }
}

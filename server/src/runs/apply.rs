//! What a run made, brought into its workspace: by itself if nothing has changed there, or when
//! somebody says which files stay.

use std::collections::HashSet;

use membrane_entity::{run, snapshot};
use membrane_files::TreePath;
use membrane_proto::v1::RunState;

use super::{ApplyState, IF_UNCHANGED, Runs, user_of, word};
use crate::{
    error::Error,
    id::{RunId, SnapshotId, UserId, WorkspaceId},
};

/// Conflicting paths that a run names.
const MAX_CONFLICTS: usize = 1_000;

/// What applying did.
#[derive(Debug)]
pub struct Applied {
    /// The run as it is now.
    pub run: run::Model,
    /// What was there before, if anything had to change.
    pub before: Option<snapshot::Model>,
}

impl Runs {
    /// Says what there is to apply of a run that has ended, and applies it if it may.
    pub(super) async fn settle(&self, run: run::Model) -> Result<run::Model, Error> {
        let has_succeeded = run.state == word(RunState::Succeeded);
        let Some(result) = run.result_snapshot_id.filter(|_| has_succeeded) else {
            return Ok(run);
        };
        let (id, workspace) = (RunId(run.id), WorkspaceId(run.workspace_id));
        let snapshots = &self.dependencies.snapshots;
        let made = snapshots.manifest(workspace, SnapshotId(result)).await?;
        let changed = snapshots.changed_since(workspace, &run.base_manifest, made);
        let changed: HashSet<TreePath> = changed.await?.into_iter().collect();
        if changed.is_empty() {
            return self.set(id, ApplyState::Nothing, &[]).await;
        }
        let elsewhere = snapshots.changed_in_files(workspace, &run.base_manifest);
        let elsewhere = elsewhere.await?;
        if elsewhere.is_empty() && run.apply_mode == IF_UNCHANGED {
            return self.apply_now(run).await;
        }
        let mut conflicts: Vec<&TreePath> = elsewhere
            .iter()
            .filter(|path| changed.contains(path))
            .collect();
        conflicts.truncate(MAX_CONFLICTS);
        self.set(id, ApplyState::Pending, &conflicts).await
    }

    /// Applies all of it; what is in the way leaves it to somebody.
    async fn apply_now(&self, run: run::Model) -> Result<run::Model, Error> {
        let (id, user) = (RunId(run.id), user_of(&run));
        match self.apply(id, user, Vec::new()).await {
            Ok(applied) => Ok(applied.run),
            Err(Error::Precondition { .. } | Error::Exhausted { .. } | Error::Unavailable(_)) => {
                Ok(run)
            }
            Err(error) => Err(error),
        }
    }

    /// Brings what a run made into its workspace, but for some files.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Precondition`] with NO_RESULT, TURN_RUNNING or IN_THE_WAY;
    /// [`Error::Exhausted`] for a quota.
    pub async fn apply(
        &self,
        id: RunId,
        user: UserId,
        keep: Vec<TreePath>,
    ) -> Result<Applied, Error> {
        let run = self.get(id).await?;
        let is_open = run.apply_state != ApplyState::Nothing.word();
        let Some(result) = run.result_snapshot_id.filter(|_| is_open) else {
            return Err(Error::Precondition {
                reason: "NO_RESULT",
                message: "this run has made nothing that could be applied".to_owned(),
            });
        };
        let (workspace, result) = (WorkspaceId(run.workspace_id), SnapshotId(result));
        let _alone = self.dependencies.sessions.alone_in(workspace).await?;
        let snapshots = &self.dependencies.snapshots;
        let made = snapshots.manifest(workspace, result).await?;
        let changed = snapshots.changed_since(workspace, &run.base_manifest, made);
        let mut changed = changed.await?;
        changed.retain(|path| !keep.iter().any(|kept| path.is_within(kept)));
        let restored = match changed.is_empty() {
            true => None,
            false => snapshots.restore(workspace, user, result, changed).await?,
        };
        Ok(Applied {
            run: self.set(id, ApplyState::Applied, &[]).await?,
            before: restored.map(|restored| restored.before),
        })
    }

    async fn set(
        &self,
        id: RunId,
        state: ApplyState,
        conflicts: &[&TreePath],
    ) -> Result<run::Model, Error> {
        let names: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
        let names = serde_json::to_string(&names)
            .map_err(|error| Error::Internal(format!("paths can't be stored: {error}")))?;
        let now = self.dependencies.clock.now();
        let database = &self.dependencies.database;
        database.set_apply_state(id, state.word(), names, now).await
    }
}

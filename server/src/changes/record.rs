//! Recording: the tree before a turn, the tree after it, and the change sets between.

use membrane_entity::change_set;
use membrane_files::store::{Change, Digest, Manifest, compare, find_renames};
use membrane_proto::v1::ChangeSummary;

use super::{
    Changes,
    delta::{Delta, between_with},
    diff,
    peoples::{Touched, is_peoples},
    trees::{Tree, broken, named},
};
use crate::{
    error::Error,
    id::{ChangeSetId, SessionId, TurnId, WorkspaceId},
    uploads::blocking,
};

/// Changed files whose lines are counted for a summary.
const MAX_COUNTED: usize = 2_000;
/// Skipped paths that a change set names.
const MAX_SKIPPED: usize = 100;

/// A turn whose changes are being recorded. If its end never comes, the next start of the server
/// records it.
#[derive(Debug, Clone)]
pub struct Recording {
    of: Of,
    before: Digest,
}

/// What a turn changed.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// The change set, if anything changed.
    pub change_set: Option<ChangeSetId>,
    /// What it amounts to.
    pub summary: ChangeSummary,
}

/// Whose changes.
#[derive(Debug, Clone, Copy)]
struct Of {
    workspace: WorkspaceId,
    session: SessionId,
    turn: TurnId,
}

/// A recorded tree.
type State<'a> = (Digest, &'a Manifest);

impl Changes {
    /// Records the tree before a turn. What changed since the last turn is people's. No other turn
    /// may be recorded in the workspace at the same time.
    ///
    /// # Errors
    /// When the tree or the database can't be read.
    pub async fn begin(
        &self,
        workspace: WorkspaceId,
        session: SessionId,
        turn: TurnId,
    ) -> Result<Recording, Error> {
        let of = Of {
            workspace,
            session,
            turn,
        };
        let last = self.database.last_manifest(workspace).await?;
        let changes = self.clone();
        let (before, peoples) = blocking(move || changes.look(of, last.as_deref())).await?;
        let open = self.row(of, "turn", before);
        let rows = peoples.into_iter().chain([open]).collect();
        self.database.store_change_sets(workspace, rows).await?;
        self.touched().insert(workspace, Vec::new());
        Ok(Recording { of, before })
    }

    /// Records the tree after a turn.
    ///
    /// # Errors
    /// When the tree or the database can't be read. Then the next start of the server tries again,
    /// unless another turn has begun by then, which finds people's changes there.
    pub async fn finish(&self, recording: Recording) -> Result<Recorded, Error> {
        let Of {
            workspace, turn, ..
        } = recording.of;
        let touched = self.touched().remove(&workspace);
        let changes = self.clone();
        let rows =
            blocking(move || changes.close(&recording, &touched.unwrap_or_default())).await?;
        let recorded = rows
            .iter()
            .find(|row| row.kind == "turn")
            .map(recorded)
            .unwrap_or_default();
        if !self.database.close_change_set(turn, rows).await? {
            return Ok(Recorded::default());
        }
        Ok(recorded)
    }

    /// Finishes what a server that is gone began and did not finish.
    ///
    /// # Errors
    /// The database's own. A workspace whose tree can't be read is left for the next start.
    pub async fn recover(&self) -> Result<(), Error> {
        for row in self.database.orphaned_change_sets().await? {
            let recording = Recording {
                of: Of {
                    workspace: WorkspaceId(row.workspace_id),
                    session: SessionId(row.session_id),
                    turn: TurnId(row.turn_id),
                },
                before: named(&row.before_manifest)?,
            };
            if let Err(error) = self.finish(recording).await {
                error.log();
            }
        }
        Ok(())
    }

    /// The tree before a turn, and what people changed since `last`.
    fn look(
        &self,
        of: Of,
        last: Option<&str>,
    ) -> Result<(Digest, Option<change_set::Model>), Error> {
        let tree = self.tree(of.workspace)?;
        let (now, manifest) = tree.record(self.clock.now())?;
        let Some(last) = last.filter(|last| **last != now.to_string()) else {
            return Ok((now, None));
        };
        let earlier = named(last)?;
        let before = tree.manifest(&earlier)?;
        let peoples = self.set(of, "people", &tree, (earlier, &before), (now, &manifest))?;
        Ok((now, Some(peoples)))
    }

    /// The change sets of a turn that has ended: people's meanwhile, if there are any, and its own.
    fn close(
        &self,
        recording: &Recording,
        touched: &[Touched],
    ) -> Result<Vec<change_set::Model>, Error> {
        let of = recording.of;
        let tree = self.tree(of.workspace)?;
        let before = tree.manifest(&recording.before)?;
        let (now, after) = tree.record(self.clock.now())?;
        let start = (recording.before, &before);
        let own = |from: State<'_>| self.set(of, "turn", &tree, from, (now, &after));
        if touched.is_empty() {
            return Ok(vec![own(start)?]);
        }
        let middle = between_with(&before, &after, |path, node| {
            is_peoples(touched, path, node)
        });
        let middle = middle.map_err(broken)?;
        let digest = tree.store.save_manifest(&middle).map_err(broken)?;
        let peoples = self.set(of, "people", &tree, start, (digest, &middle))?;
        Ok(vec![peoples, own((digest, &middle))?])
    }

    fn set(
        &self,
        of: Of,
        kind: &str,
        tree: &Tree,
        (before, old): State<'_>,
        (after, new): State<'_>,
    ) -> Result<change_set::Model, Error> {
        let delta = Delta::between(old, new).map_err(broken)?;
        let summary = tree.summary(&tree.changes(&delta)?)?;
        let save = |part| tree.store.save_manifest(part).map_err(broken);
        Ok(change_set::Model {
            after_manifest: Some(after.to_string()),
            before_part: save(&delta.before)?.to_string(),
            after_part: save(&delta.after)?.to_string(),
            skipped: skipped(new)?,
            file_count: summary.file_count,
            lines_added: summary.lines_added,
            lines_removed: summary.lines_removed,
            ..self.row(of, kind, before)
        })
    }

    fn row(&self, of: Of, kind: &str, before: Digest) -> change_set::Model {
        change_set::Model {
            id: ChangeSetId::new().0,
            workspace_id: of.workspace.0,
            session_id: of.session.0,
            turn_id: of.turn.0,
            kind: kind.to_owned(),
            create_time: self.clock.now(),
            before_manifest: before.to_string(),
            after_manifest: None,
            before_part: String::new(),
            after_part: String::new(),
            skipped: "[]".to_owned(),
            file_count: 0,
            lines_added: 0,
            lines_removed: 0,
        }
    }
}

impl Tree {
    /// The changes of a difference, by path.
    pub(super) fn changes(&self, delta: &Delta) -> Result<Vec<Change>, Error> {
        find_renames(compare(&delta.before, &delta.after), &self.store).map_err(broken)
    }

    /// Lines added and removed; `None` for what has no lines.
    pub(super) fn lines(&self, change: &Change) -> Result<Option<(i32, i32)>, Error> {
        let old = self.text(change.before.as_ref())?;
        let new = self.text(change.after.as_ref())?;
        Ok(old.zip(new).map(|(old, new)| diff::count(&old, &new)))
    }

    /// What changes amount to.
    pub(super) fn summary(&self, changes: &[Change]) -> Result<ChangeSummary, Error> {
        let mut summary = ChangeSummary {
            file_count: i32::try_from(changes.len()).unwrap_or(i32::MAX),
            ..ChangeSummary::default()
        };
        for change in changes.iter().take(MAX_COUNTED) {
            let (added, removed) = self.lines(change)?.unwrap_or_default();
            summary.lines_added = summary.lines_added.saturating_add(added);
            summary.lines_removed = summary.lines_removed.saturating_add(removed);
        }
        Ok(summary)
    }
}

fn recorded(row: &change_set::Model) -> Recorded {
    Recorded {
        change_set: (row.file_count > 0).then_some(ChangeSetId(row.id)),
        summary: ChangeSummary {
            file_count: row.file_count,
            lines_added: row.lines_added,
            lines_removed: row.lines_removed,
        },
    }
}

/// The first of the paths that a manifest left out, as a row has them.
pub(crate) fn skipped(manifest: &Manifest) -> Result<String, Error> {
    let paths: Vec<String> = manifest
        .skipped()
        .iter()
        .take(MAX_SKIPPED)
        .map(|skipped| skipped.path.to_string())
        .collect();
    serde_json::to_string(&paths).map_err(broken)
}

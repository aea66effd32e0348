//! Showing: the changes of a set or of a session, and one file's lines.

use membrane_entity::change_set;
use membrane_files::{
    TreePath,
    store::{Blob, Change, ChangeKind, Digest, Manifest, Node},
};
use membrane_proto::v1 as proto;

use super::{
    Changes,
    delta::Delta,
    diff::{self, Standing},
    sensitive,
    trees::{Tree, broken, named},
};
use crate::{
    error::Error,
    id::{ChangeSetId, SessionId, SnapshotId, WorkspaceId},
    objects::Wanted,
    page,
    uploads::blocking,
};

/// Tag of page tokens.
const CHANGES: u8 = 9;
/// Changes on a page.
const DEFAULT_PAGE: usize = 200;
const MAX_PAGE: usize = 1_000;

/// Which changes are meant.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// One change set.
    Set(ChangeSetId),
    /// All turns of a session together.
    Session(SessionId),
    /// From one snapshot to another, or to the files as they are now.
    Snapshots(SnapshotId, Option<SnapshotId>),
}

/// Part of a list of changes.
#[derive(Debug, Clone)]
pub struct Page {
    size: usize,
    after: Option<TreePath>,
}

/// The manifests that a scope compares, by their names.
enum Sides {
    /// Of small differences, the earliest first.
    Parts(Vec<(String, String)>),
    /// Of two whole trees; the second may be the files as they are now.
    Whole(String, Option<String>),
}

/// What a scope holds.
pub(super) struct Shown {
    pub tree: Tree,
    /// What was there before, of what changed and the directories that lead there.
    pub before: Manifest,
    pub changes: Vec<Change>,
}

impl Page {
    /// Reads a page size and a token.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a negative size, or a token that this list did not give.
    pub fn parse(size: i32, token: &str) -> Result<Self, Error> {
        Ok(Self {
            size: page::size(size, DEFAULT_PAGE, MAX_PAGE)?,
            after: page::open(CHANGES, token, place)?,
        })
    }

    /// The changes of this page, and the token of the next one.
    fn cut<'a>(&self, changes: &'a [Change]) -> (&'a [Change], String) {
        let start = self.after.as_ref().map_or(0, |after| {
            changes.partition_point(|change| change.path <= *after)
        });
        let rest = &changes[start..];
        match rest.get(..self.size) {
            Some([before @ .., last]) if rest.len() > self.size => {
                let token = page::seal(CHANGES, last.path.as_bytes());
                (&rest[..=before.len()], token)
            }
            _ => (rest, String::new()),
        }
    }
}

fn place(bytes: &[u8]) -> Option<TreePath> {
    let path = TreePath::from_bytes(bytes).ok()?;
    (!path.is_top()).then_some(path)
}

impl Changes {
    /// One page of a scope's changes, the token of the next page, and what the scope amounts to.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a scope that is not in the workspace.
    pub async fn list(
        &self,
        workspace: WorkspaceId,
        scope: Scope,
        page: Page,
    ) -> Result<proto::ListChangesResponse, Error> {
        self.with(workspace, scope, diff::MAX_TEXT, move |shown| {
            let (part, next_page_token) = page.cut(&shown.changes);
            let changes = part.iter().map(|change| shown.tree.encode(change));
            Ok(proto::ListChangesResponse {
                changes: changes.collect::<Result<_, _>>()?,
                next_page_token,
                summary: Some(shown.tree.summary(&shown.changes)?),
            })
        })
        .await
    }

    /// How one file changed.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a scope or path that is not there.
    pub async fn file_diff(
        &self,
        workspace: WorkspaceId,
        scope: Scope,
        path: TreePath,
        context: usize,
    ) -> Result<proto::GetFileDiffResponse, Error> {
        self.with(workspace, scope, diff::MAX_TEXT, move |shown| {
            let change = shown.find(&path)?;
            let old = shown.tree.text(change.before.as_ref())?;
            let new = shown.tree.text(change.after.as_ref())?;
            let (mut hunks, mut truncated) = (Vec::new(), false);
            if let Some((old, new)) = old.zip(new) {
                (hunks, truncated) = diff::hunks(&old, &new, context);
                let now = shown.tree.text_now(&change.path);
                let standing = now.map(|now| diff::standing(&old, &new, &now, context));
                for hunk in &mut hunks {
                    let is_there =
                        |standing: &Standing| matches!(standing.get(&hunk.id), Some(Some(_)));
                    hunk.current = standing.as_ref().is_some_and(is_there);
                }
            }
            Ok(proto::GetFileDiffResponse {
                change: Some(shown.tree.encode(change)?),
                hunks,
                truncated,
            })
        })
        .await
    }

    /// A changed file as it was before or after.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Precondition`] with NOT_A_FILE.
    pub async fn contents(
        &self,
        workspace: WorkspaceId,
        scope: Scope,
        path: TreePath,
        side: proto::ChangeSide,
    ) -> Result<Blob, Error> {
        // As much as [`Changes::list`] has: so that the same renames are found.
        let found = self.with(workspace, scope, diff::MAX_TEXT, move |shown| {
            let change = shown.find(&path)?;
            let node = match side {
                proto::ChangeSide::Before => change.before.as_ref(),
                _ => change.after.as_ref(),
            };
            let node = node.ok_or(Error::NotFound("file on this side"))?;
            Wanted::of(node).ok_or_else(|| Error::Precondition {
                reason: "NOT_A_FILE",
                message: "only files have contents".to_owned(),
            })
        });
        let wanted = found.await?;
        if matches!(scope, Scope::Snapshots(..)) {
            self.fetch(workspace, vec![wanted]).await?;
        }
        let changes = self.clone();
        blocking(move || {
            let store = changes.tree(workspace)?.store;
            store.get(&wanted.digest).map_err(broken)
        })
        .await
    }

    /// Loads a scope and works with it, off the async threads. Of what changed between snapshots, the
    /// contents are there up to so many bytes of each.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        workspace: WorkspaceId,
        scope: Scope,
        largest: u64,
        work: impl FnOnce(Shown) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let sides = self.sides(workspace, scope).await?;
        if let Sides::Whole(before, after) = &sides {
            let trees = (before.as_str(), after.as_deref());
            self.fetch_difference(workspace, trees, largest).await?;
        }
        let changes = self.clone();
        blocking(move || {
            let tree = changes.tree(workspace)?;
            let delta = match sides {
                Sides::Parts(parts) => {
                    let deltas = parts.iter().map(|(old, new)| tree.delta(old, new));
                    let deltas = deltas.collect::<Result<Vec<_>, _>>()?;
                    Delta::together(deltas).map_err(broken)?
                }
                Sides::Whole(before, after) => {
                    let before = tree.manifest(&named(&before)?)?;
                    let after = match after {
                        Some(after) => tree.manifest(&named(&after)?)?,
                        None => tree.record(changes.clock.now())?.1,
                    };
                    Delta::between(&before, &after).map_err(broken)?
                }
            };
            let changes = tree.changes(&delta)?;
            work(Shown {
                tree,
                before: delta.before,
                changes,
            })
        })
        .await
    }

    async fn sides(&self, workspace: WorkspaceId, scope: Scope) -> Result<Sides, Error> {
        match scope {
            Scope::Set(id) => {
                let row = self.database.change_set(workspace, id).await?;
                Ok(parts([row.ok_or(Error::NotFound("change set"))?]))
            }
            Scope::Session(id) => {
                self.session_in(workspace, id).await?;
                let rows = self.database.change_sets_of_session(workspace, id).await?;
                Ok(parts(rows))
            }
            Scope::Snapshots(before, after) => {
                let before = self.snapshot_in(workspace, before).await?;
                let after = match after {
                    Some(after) => Some(self.snapshot_in(workspace, after).await?),
                    None => None,
                };
                Ok(Sides::Whole(before, after))
            }
        }
    }

    /// The manifest of a snapshot of the workspace.
    async fn snapshot_in(&self, workspace: WorkspaceId, id: SnapshotId) -> Result<String, Error> {
        let row = self.database.snapshot(workspace, id).await?;
        Ok(row.ok_or(Error::NotFound("snapshot"))?.manifest)
    }

    /// Makes sure that a session is one of the workspace.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn session_in(&self, workspace: WorkspaceId, id: SessionId) -> Result<(), Error> {
        let row = self.database.session_row(id).await?;
        match row {
            Some(row) if row.workspace_id == workspace.0 => Ok(()),
            _ => Err(Error::NotFound("session")),
        }
    }
}

fn parts(rows: impl IntoIterator<Item = change_set::Model>) -> Sides {
    let rows = rows.into_iter();
    Sides::Parts(rows.map(|row| (row.before_part, row.after_part)).collect())
}

impl Shown {
    pub(super) fn find(&self, path: &TreePath) -> Result<&Change, Error> {
        let found = self
            .changes
            .binary_search_by(|change| change.path.cmp(path));
        found
            .map(|at| &self.changes[at])
            .map_err(|_| Error::NotFound("changed file"))
    }
}

impl Tree {
    fn encode(&self, change: &Change) -> Result<proto::Change, Error> {
        let lines = self.lines(change)?;
        let (lines_added, lines_removed) = lines.unwrap_or_default();
        let is_file = |node: &Option<Node>| matches!(node, Some(Node::File { .. }));
        Ok(proto::Change {
            path: change.path.to_string(),
            old_path: old_path(change).map_or_else(String::new, ToString::to_string),
            status: status(&change.kind).into(),
            lines_added,
            lines_removed,
            binary: lines.is_none() && (is_file(&change.before) || is_file(&change.after)),
            sensitive_reason: sensitive::reason(change.path.as_bytes())
                .or_else(|| sensitive::reason(old_path(change)?.as_bytes()))
                .unwrap_or_default()
                .to_owned(),
            old_size: change.before.as_ref().map(size),
            new_size: change.after.as_ref().map(size),
            current: self.is_current(change),
            etag: etag(change),
        })
    }

    /// Whether a changed file is still as the change left it.
    pub(super) fn is_current(&self, change: &Change) -> bool {
        self.stands(&change.path, change.after.as_ref())
            && old_path(change).is_none_or(|old| self.stands(old, None))
    }
}

fn status(kind: &ChangeKind) -> proto::ChangeStatus {
    match kind {
        ChangeKind::Added => proto::ChangeStatus::Added,
        ChangeKind::Deleted => proto::ChangeStatus::Deleted,
        ChangeKind::Modified => proto::ChangeStatus::Modified,
        ChangeKind::ModeChanged => proto::ChangeStatus::Mode,
        ChangeKind::TypeChanged => proto::ChangeStatus::Type,
        ChangeKind::Renamed { .. } => proto::ChangeStatus::Renamed,
    }
}

pub(super) fn old_path(change: &Change) -> Option<&TreePath> {
    match &change.kind {
        ChangeKind::Renamed { from, .. } => Some(from),
        _ => None,
    }
}

fn size(node: &Node) -> i64 {
    match node {
        Node::File { size, .. } => i64::try_from(*size).unwrap_or(i64::MAX),
        _ => 0,
    }
}

/// A change is what it was and what it became.
pub(super) fn etag(change: &Change) -> String {
    let text = format!("{:?} {:?}", change.before, change.after);
    let digest = Digest::of(text.as_bytes());
    let hex = digest.as_bytes()[..8].iter();
    hex.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(paths: &[&str]) -> Vec<Change> {
        let change = |path: &&str| Change {
            path: path.parse().expect("a path"),
            kind: ChangeKind::Deleted,
            before: None,
            after: None,
        };
        paths.iter().map(change).collect()
    }

    #[test]
    fn pages_follow_each_other_without_gap() {
        let all = changes(&["a", "b", "c", "d", "e"]);
        let mut seen = Vec::new();
        let mut token = String::new();
        loop {
            let (part, next) = {
                let page = Page::parse(2, &token).expect("a page");
                let (part, next) = page.cut(&all);
                (part.to_vec(), next)
            };
            seen.extend(part);
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_bad_page_is_refused() {
        assert!(Page::parse(-1, "").is_err());
        assert!(Page::parse(0, "!").is_err());
        assert!(Page::parse(0, &page::seal(CHANGES + 1, b"a")).is_err());
    }
}

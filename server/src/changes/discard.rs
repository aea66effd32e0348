//! Undoing: files, or hunks of one file, as they were before.

use std::io::ErrorKind;

use membrane_files::{
    TreePath,
    store::{Change, Node, RestoreError, restore_file},
};

use super::{
    Changes, Scope,
    delta::lineage,
    diff,
    show::{Shown, etag, old_path},
    trees::{Tree, as_path, broken},
};
use crate::{error::Error, id::WorkspaceId};

/// What to undo.
#[derive(Debug, Clone, Default)]
pub struct Discard {
    /// These files by their newest names; none means all.
    pub paths: Vec<TreePath>,
    /// Only these hunks of the one file.
    pub hunks: Vec<String>,
    /// Context lines that the hunks were asked for with.
    pub context: usize,
    /// The etag that the one file's change must have; none if empty.
    pub etag: String,
}

/// What was undone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discarded {
    /// What was put back.
    pub done: Vec<TreePath>,
    /// What had changed since and was left alone.
    pub conflicting: Vec<TreePath>,
}

impl Changes {
    /// Undoes changes of a scope where files are still as the changes left them. No turn may work
    /// in the workspace at the same time.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a scope, path or hunk that is not there; [`Error::Invalid`] for
    /// hunks or an etag without exactly one path; [`Error::StaleEtag`]; [`Error::Precondition`]
    /// with NOT_TEXT.
    pub async fn discard(
        &self,
        workspace: WorkspaceId,
        scope: Scope,
        what: Discard,
    ) -> Result<Discarded, Error> {
        let alone = what.hunks.is_empty() && what.etag.is_empty();
        if !alone && what.paths.len() != 1 {
            return Err(Error::invalid(
                "paths",
                "must name one file to go with hunks or an etag",
            ));
        }
        self.with(workspace, scope, u64::MAX, move |shown| {
            shown.discard(&what)
        })
        .await
    }
}

impl Shown {
    fn discard(&self, what: &Discard) -> Result<Discarded, Error> {
        let chosen: Vec<&Change> = match &what.paths[..] {
            [] => self.changes.iter().collect(),
            paths => paths
                .iter()
                .map(|path| self.find(path))
                .collect::<Result<_, _>>()?,
        };
        if let ([change], false) = (&chosen[..], what.etag.is_empty())
            && etag(change) != what.etag
        {
            return Err(Error::StaleEtag);
        }
        let mut discarded = Discarded::default();
        // Backwards, so that what lies in a directory goes before the directory.
        for change in chosen.into_iter().rev() {
            let done = if what.hunks.is_empty() {
                self.tree.is_current(change) && self.undo(change)?
            } else {
                self.undo_hunks(change, what)?
            };
            let list = if done {
                &mut discarded.done
            } else {
                &mut discarded.conflicting
            };
            list.insert(0, change.path.clone());
        }
        Ok(discarded)
    }

    /// Undoes one change; answers whether nothing was in the way.
    fn undo(&self, change: &Change) -> Result<bool, Error> {
        let Some(before) = &change.before else {
            return self.remove(&change.path);
        };
        match old_path(change) {
            None => self.tree.restore(before, &change.path),
            Some(old) => Ok(self.tree.restore(before, old)? && self.remove(&change.path)?),
        }
    }

    /// Undoes hunks of one change, whatever else has become of the file; answers whether all of
    /// them still stood there.
    fn undo_hunks(&self, change: &Change, what: &Discard) -> Result<bool, Error> {
        let old = self.tree.text(change.before.as_ref())?;
        let new = self.tree.text(change.after.as_ref())?;
        let (Some((old, new)), Some(Node::File { .. })) = (old.zip(new), &change.after) else {
            return Err(Error::Precondition {
                reason: "NOT_TEXT",
                message: "this change has no hunks; discard the whole file".to_owned(),
            });
        };
        let now = self.tree.text_now(&change.path).unwrap_or_default();
        let mut standing = diff::standing(&old, &new, &now, what.context);
        let mut ids = Vec::with_capacity(what.hunks.len());
        for hunk in &what.hunks {
            ids.push(standing.remove(hunk).ok_or(Error::NotFound("hunk"))?);
        }
        let Some(ids) = ids.into_iter().collect::<Option<Vec<String>>>() else {
            return Ok(false);
        };
        let text = diff::without(&old, &now, what.context, &ids).ok_or(Error::NotFound("hunk"))?;
        let Some(Node::File { executable, .. }) = self.tree.node(&change.path)? else {
            return Ok(false);
        };
        let node = Node::File {
            digest: self.tree.store.put_bytes(&text).map_err(broken)?,
            size: text.len() as u64,
            executable,
        };
        self.tree.restore(&node, &change.path)
    }

    /// Removes what a change added; its contents stay in the store. A directory that others have
    /// filled stays.
    fn remove(&self, path: &TreePath) -> Result<bool, Error> {
        let files = &self.tree.files;
        let at = as_path(path);
        let removed = if files.symlink_metadata(at)?.is_dir() {
            files.remove_dir(at)
        } else {
            files.remove_file(at)
        };
        match removed {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => return Ok(false),
            removed => removed?,
        }
        // Directories that came with it go with it, unless something else is in them by now.
        for parent in lineage(path).skip(1) {
            if self.before.get(&parent).is_some() || files.remove_dir(as_path(&parent)).is_err() {
                break;
            }
        }
        Ok(true)
    }
}

impl Tree {
    /// Puts something back; answers whether nothing was in the way.
    fn restore(&self, node: &Node, path: &TreePath) -> Result<bool, Error> {
        match restore_file(&self.store, node, &self.files, path) {
            Ok(()) => Ok(true),
            Err(RestoreError::NotADirectory(_) | RestoreError::NotEmpty(_)) => Ok(false),
            Err(error) => Err(broken(error)),
        }
    }
}

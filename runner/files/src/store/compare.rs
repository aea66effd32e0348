//! What is different between two trees.

use crate::store::digest::Digest;
use crate::store::manifest::{Entry, Manifest, Node};
use crate::tree_path::TreePath;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

/// What happened to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Deleted,
    /// It has other contents, or a link another target. Whether a file may be executed may have
    /// changed as well.
    Modified,
    /// Only whether the file may be executed changed.
    ModeChanged,
    /// It is another kind of thing.
    TypeChanged,
    /// A file has gone from another path to this one.
    Renamed {
        /// Where it was before.
        from: TreePath,
        /// How much of it is the same, in percent; 100 for equal contents.
        similarity: u8,
    },
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it is; for what was deleted, where it was.
    pub path: TreePath,
    /// What happened.
    pub kind: ChangeKind,
    /// What was there before; for a renamed file, what was at its old path.
    pub before: Option<Node>,
    /// What is there now.
    pub after: Option<Node>,
}

/// Tells what changed from one tree to another, in the order of the paths' bytes.
///
/// Directories count only when empty ones appear or disappear, or something becomes a directory or
/// ceases to be one. A file that disappears while one of equal contents appears is renamed, if
/// there is one such file on either side and it is not empty. Nothing is said about what either
/// manifest skipped, since it is not known; compare [`Manifest::skipped`] for that.
#[must_use]
pub fn compare(before: &Manifest, after: &Manifest) -> Vec<Change> {
    let changes = differences(before, after);
    let known =
        |change: &Change| !before.is_skipped(&change.path) && !after.is_skipped(&change.path);
    join_equal(changes.into_iter().filter(known).collect())
}

fn differences(before: &Manifest, after: &Manifest) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut old, mut new) = (before.entries(), after.entries());
    loop {
        let order = match (old.first(), new.first()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.path.cmp(&b.path),
        };
        if order == Ordering::Equal {
            changes.extend(changed(&old[0], &new[0]));
        } else if order == Ordering::Less && counts(old, before) {
            changes.push(change(
                &old[0].path,
                ChangeKind::Deleted,
                Some(&old[0]),
                None,
            ));
        } else if order == Ordering::Greater && counts(new, after) {
            changes.push(change(&new[0].path, ChangeKind::Added, None, Some(&new[0])));
        }
        old = &old[usize::from(order != Ordering::Greater)..];
        new = &new[usize::from(order != Ordering::Less)..];
    }
}

/// Whether the first entry counts for itself: it is no directory, or an empty one.
fn counts(entries: &[Entry], manifest: &Manifest) -> bool {
    let first = &entries[0];
    first.node != Node::Directory || !manifest.has_beneath(&first.path)
}

fn changed(old: &Entry, new: &Entry) -> Option<Change> {
    let kind = match (&old.node, &new.node) {
        (a, b) if a == b => return None,
        (Node::File { digest: a, .. }, Node::File { digest: b, .. }) if a == b => {
            ChangeKind::ModeChanged
        }
        (Node::File { .. }, Node::File { .. }) | (Node::Symlink { .. }, Node::Symlink { .. }) => {
            ChangeKind::Modified
        }
        _ => ChangeKind::TypeChanged,
    };
    Some(change(&new.path, kind, Some(old), Some(new)))
}

fn change(path: &TreePath, kind: ChangeKind, old: Option<&Entry>, new: Option<&Entry>) -> Change {
    Change {
        path: path.clone(),
        kind,
        before: old.map(|entry| entry.node.clone()),
        after: new.map(|entry| entry.node.clone()),
    }
}

/// Makes a renaming of each deleted and added file that alone have the same contents.
fn join_equal(changes: Vec<Change>) -> Vec<Change> {
    let deleted = by_contents(&changes, &ChangeKind::Deleted);
    let added = by_contents(&changes, &ChangeKind::Added);
    let pairs = added.iter().filter_map(|(digest, new)| {
        let (&[old], &[new]) = (&deleted.get(digest)?[..], &new[..]) else {
            return None;
        };
        Some((old, new, 100))
    });
    let pairs = pairs.collect();
    join(changes, pairs)
}

/// Where files with contents are that were deleted or added.
fn by_contents(changes: &[Change], kind: &ChangeKind) -> HashMap<Digest, Vec<usize>> {
    let mut found: HashMap<Digest, Vec<usize>> = HashMap::new();
    for (at, change) in changes.iter().enumerate() {
        if change.kind == *kind
            && let Some(Node::File {
                digest, size: 1.., ..
            }) = change.before.as_ref().or(change.after.as_ref())
        {
            found.entry(*digest).or_default().push(at);
        }
    }
    found
}

/// Makes one renaming of each pair of a deletion and an addition, with its similarity.
pub(super) fn join(mut changes: Vec<Change>, pairs: Vec<(usize, usize, u8)>) -> Vec<Change> {
    let mut joined = HashSet::new();
    for (old, new, similarity) in pairs {
        let from = changes[old].path.clone();
        let before = changes[old].before.take();
        changes[new].kind = ChangeKind::Renamed { from, similarity };
        changes[new].before = before;
        joined.insert(old);
    }
    let mut at = 0..;
    changes.retain(|_| at.next().is_none_or(|at| !joined.contains(&at)));
    changes
}

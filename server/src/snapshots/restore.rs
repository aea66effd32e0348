//! Bringing a snapshot back: the whole tree or some of its paths, all at once.

use std::{collections::HashSet, iter::successors};

use membrane_entity::snapshot;
use membrane_files::{
    TreePath,
    root::{self, Root},
    store::{Digest, Entry, Manifest, Near, Node, build_tree},
};

use super::{Kind, NewSnapshot, Picture, Snapshots};
use crate::{
    changes::{Tree, between_with, broken, named},
    error::Error,
    id::{SnapshotId, UserId, WorkspaceId},
    objects::Wanted,
    uploads::blocking,
};

/// How often a restore begins anew because the files have changed while it was prepared.
const ATTEMPTS: usize = 5;

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    /// What was there before.
    pub before: snapshot::Model,
    /// Entries that are new, changed or gone.
    pub changed: usize,
}

/// What is to become of a workspace's tree.
#[derive(Debug, Clone)]
struct Wish {
    workspace: WorkspaceId,
    snapshot: Digest,
    /// None means all.
    paths: HashSet<TreePath>,
}

/// What a restore would do.
struct Outlook {
    /// The tree as it is.
    now: Picture,
    /// How many of its entries would change.
    changed: usize,
    /// Contents that it does not have at the same path.
    needed: Vec<Wanted>,
}

impl Snapshots {
    /// Makes the files at some paths, or all, as they are in a snapshot. Answers nothing if that is
    /// how they are. No turn may work in the workspace at the same time.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the snapshot or a path; [`Error::Precondition`] with IN_THE_WAY or
    /// FILES_CHANGING; [`Error::Exhausted`] for a quota. Then the files are as they were.
    pub async fn restore(
        &self,
        workspace: WorkspaceId,
        user: UserId,
        id: SnapshotId,
        paths: Vec<TreePath>,
    ) -> Result<Option<Restored>, Error> {
        let wanted = self.get(workspace, id).await?;
        let wish = Wish {
            workspace,
            snapshot: named(&wanted.manifest)?,
            paths: paths.into_iter().collect(),
        };
        let changes = &self.changes;
        changes.fetch_manifest(workspace, &wanted.manifest).await?;
        for _ in 0..ATTEMPTS {
            let (snapshots, look) = (self.clone(), wish.clone());
            let Outlook {
                now,
                changed,
                needed,
            } = blocking(move || snapshots.look(&look)).await?;
            if changed == 0 {
                return Ok(None);
            }
            changes.fetch(workspace, needed).await?;
            let expected = now.manifest;
            let new = NewSnapshot {
                workspace,
                user,
                title: title(&wanted),
                pinned: false,
                key: None,
            };
            // Stored first, so that whatever happens then, what was there can be had back.
            let before = self.insert(new, Kind::BeforeRestore, now).await?;
            let (snapshots, wish) = (self.clone(), wish.clone());
            let done = blocking(move || snapshots.carry_out(&wish, &expected)).await;
            if matches!(done, Ok(true)) {
                return Ok(Some(Restored { before, changed }));
            }
            self.delete(workspace, SnapshotId(before.id)).await?;
            done?;
        }
        Err(Error::Precondition {
            reason: "FILES_CHANGING",
            message: "the files kept changing while they were to be restored; try again".to_owned(),
        })
    }

    /// What would become of the tree as it is.
    fn look(&self, wish: &Wish) -> Result<Outlook, Error> {
        let tree = self.changes.tree(wish.workspace)?;
        let (digest, now) = tree.record(self.clock.now())?;
        let wanted = wish.compose(&tree, &now)?;
        let differing = |one: &Manifest, other: &Manifest, gone_only: bool| {
            let differs = |entry: &&Entry| match other.get(&entry.path) {
                None => true,
                Some(node) => !gone_only && *node != entry.node,
            };
            one.entries().iter().filter(differs).count()
        };
        let is_new = |entry: &&Entry| now.get(&entry.path) != Some(&entry.node);
        let new = wanted.entries().iter().filter(is_new);
        Ok(Outlook {
            changed: differing(&wanted, &now, false) + differing(&now, &wanted, true),
            needed: new.filter_map(|entry| Wanted::of(&entry.node)).collect(),
            now: Picture::of(digest, &now)?,
        })
    }

    /// Puts the wanted tree in place, if the tree is still as expected; answers whether it was.
    fn carry_out(&self, wish: &Wish, expected: &Digest) -> Result<bool, Error> {
        self.files.as_a_whole(wish.workspace, |root| {
            let tree = self.changes.tree(wish.workspace)?;
            let (digest, now) = tree.record(self.clock.now())?;
            if digest != *expected {
                return Ok(false);
            }
            let wanted = wish.compose(&tree, &now)?;
            check_room(root, &now, &wanted)?;
            let exchanged = root.exchange(|files, empty| {
                let near = Near {
                    tree: files,
                    manifest: &now,
                };
                build_tree(&tree.store, &wanted, near, empty).map_err(broken)?;
                let skipped = now.skipped().iter();
                Ok(skipped.map(|skipped| skipped.path.clone()).collect())
            });
            exchanged.map_err(in_the_way)?;
            Ok(true)
        })
    }
}

impl Wish {
    /// The tree that is wanted, given the one that is there.
    fn compose(&self, tree: &Tree, now: &Manifest) -> Result<Manifest, Error> {
        let snapshot = tree.manifest(&self.snapshot)?;
        if self.paths.is_empty() {
            return Ok(snapshot);
        }
        for path in &self.paths {
            if !path.is_top() && now.get(path).is_none() && snapshot.get(path).is_none() {
                return Err(Error::NotFound("path"));
            }
        }
        let wanted = between_with(now, &snapshot, |path, _| self.is_about(path)).map_err(broken)?;
        let lost = |entry: &&Entry| self.is_about(&entry.path) && wanted.get(&entry.path).is_none();
        match snapshot.entries().iter().find(lost) {
            Some(entry) => Err(way(&entry.path)),
            None => Ok(wanted),
        }
    }

    fn is_about(&self, path: &TreePath) -> bool {
        if self.paths.contains(&TreePath::top()) {
            return true;
        }
        let parent = |path: &TreePath| path.split().map(|(parent, _)| parent);
        successors(Some(path.clone()), parent).any(|path| self.paths.contains(&path))
    }
}

fn title(snapshot: &snapshot::Model) -> String {
    let words: String = snapshot.title.chars().take(80).collect();
    match words.as_str() {
        "" => "Before a restore".to_owned(),
        words => format!("Before “{words}” was restored"),
    }
}

fn check_room(root: &Root, now: &Manifest, wanted: &Manifest) -> Result<(), Error> {
    let (room, now, wanted) = (root.room(), size(now), size(wanted));
    let quota = |reason, message: &str| Error::Exhausted {
        reason,
        message: message.to_owned(),
    };
    if wanted.0.saturating_sub(now.0) > room.bytes {
        return Err(quota(
            "QUOTA_BYTES",
            "the restored files would take more than the workspace may hold",
        ));
    }
    if wanted.1.saturating_sub(now.1) > room.entries {
        return Err(quota(
            "QUOTA_ENTRIES",
            "there would be more restored files than the workspace may hold",
        ));
    }
    Ok(())
}

/// Bytes and entries of a tree.
fn size(manifest: &Manifest) -> (u64, u64) {
    let entries = manifest.entries();
    let bytes = entries.iter().map(|entry| match entry.node {
        Node::File { size, .. } => size,
        _ => 0,
    });
    (bytes.sum(), entries.len() as u64)
}

/// What the new tree has no place for.
fn in_the_way(error: Exchange) -> Error {
    match error {
        Exchange::Root(root::Error::AlreadyExists(path) | root::Error::NotADirectory(path)) => {
            way(&path)
        }
        Exchange::Root(error) => error.into(),
        Exchange::Ours(error) => error,
    }
}

fn way(path: &TreePath) -> Error {
    Error::Precondition {
        reason: "IN_THE_WAY",
        message: format!("{path} is in the way of what is restored; move or delete it first"),
    }
}

/// What an exchange answers.
enum Exchange {
    Root(root::Error),
    Ours(Error),
}

impl From<root::Error> for Exchange {
    fn from(error: root::Error) -> Self {
        Self::Root(error)
    }
}

impl From<Error> for Exchange {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

//! Snapshots: pictures of workspaces' files that never change. Taken, received, brought back, sent.
//! They lie in the same store as what turns changed, so that equal contents are kept once.

use std::time::Duration;

use membrane_entity::snapshot;
use membrane_files::{
    TreePath,
    store::{Digest, Manifest, Node, compare},
};
use tokio_util::sync::CancellationToken;

use crate::{
    changes::{Changes, named, skipped},
    clock::{Clock, Millis},
    db::{Database, RequestKey},
    error::Error,
    files::Files,
    id::{SnapshotId, UserId, WorkspaceId},
    uploads::blocking,
};

mod archive;
mod blobs;
mod restore;
mod room;

pub use blobs::{Arriving, MAX_BLOB};
pub use restore::Restored;
pub use room::Sending;

use room::Room;

/// How long what a restore replaced, or a run made, is kept, in milliseconds.
const LIFETIME: Millis = 30 * 24 * 3_600_000;
/// How often what is older is looked for.
const PERIOD: Duration = Duration::from_secs(6 * 3_600);

/// Makes and keeps snapshots. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshots {
    database: Database,
    changes: Changes,
    files: Files,
    clock: Clock,
    room: Room,
    /// What workspaces have in the object store.
    room_elsewhere: Room,
}

/// How a snapshot came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Taken of the files.
    Taken,
    /// What a restore replaced.
    BeforeRestore,
    /// Sent by somebody.
    Received,
    /// A run begins with it.
    RunBase,
    /// A run made it.
    RunResult,
}

/// A snapshot to make.
#[derive(Debug, Clone)]
pub struct NewSnapshot {
    /// Where.
    pub workspace: WorkspaceId,
    /// Who makes it; nil for somebody who is gone.
    pub user: UserId,
    /// What to call it; may be empty.
    pub title: String,
    /// Whether it stays.
    pub pinned: bool,
    /// What makes a repeated call the same call.
    pub key: Option<RequestKey>,
}

impl Kind {
    /// Its word in rows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::BeforeRestore => "before_restore",
            Self::Received => "received",
            Self::RunBase => "run_base",
            Self::RunResult => "run_result",
        }
    }
}

impl Snapshots {
    /// Snapshots of these files, beside these changes.
    #[must_use]
    pub fn new(database: Database, changes: Changes, files: Files, clock: Clock) -> Self {
        Self {
            database,
            changes,
            files,
            clock,
            room: Room::default(),
            room_elsewhere: Room::default(),
        }
    }

    /// Lets a user send a snapshot, or contents for one, as long as the answer lives.
    ///
    /// # Errors
    /// [`Error::Exhausted`] with UPLOADS when they send too much at the same time.
    pub fn begin_sending(&self, user: UserId) -> Result<Sending, Error> {
        self.room.begin(user)
    }

    /// Takes a picture of the files as they are, for what `kind` says.
    ///
    /// # Errors
    /// [`Error::Exhausted`] with TOO_MANY_FILES; when the tree can't be read.
    pub async fn take(&self, new: NewSnapshot, kind: Kind) -> Result<snapshot::Model, Error> {
        let (workspace, snapshots) = (new.workspace, self.clone());
        let picture = blocking(move || {
            let (digest, manifest) = snapshots.record(workspace)?;
            Picture::of(digest, &manifest)
        });
        self.insert(new, kind, picture.await?).await
    }

    /// A snapshot of a workspace.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(
        &self,
        workspace: WorkspaceId,
        id: SnapshotId,
    ) -> Result<snapshot::Model, Error> {
        let row = self.database.snapshot(workspace, id).await?;
        row.ok_or(Error::NotFound("snapshot"))
    }

    /// What a snapshot has.
    ///
    /// # Errors
    /// [`Error::NotFound`]; when the store can't be read.
    pub async fn manifest(
        &self,
        workspace: WorkspaceId,
        id: SnapshotId,
    ) -> Result<Manifest, Error> {
        let row = self.get(workspace, id).await?;
        self.recorded(workspace, row.manifest).await
    }

    /// A recorded manifest by its name.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn recorded(&self, workspace: WorkspaceId, name: String) -> Result<Manifest, Error> {
        self.changes.fetch_manifest(workspace, &name).await?;
        let snapshots = self.clone();
        blocking(move || {
            let tree = snapshots.changes.tree(workspace)?;
            tree.manifest(&named(&name)?)
        })
        .await
    }

    /// Changes what is given.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn update(
        &self,
        workspace: WorkspaceId,
        id: SnapshotId,
        title: Option<String>,
        pinned: Option<bool>,
    ) -> Result<snapshot::Model, Error> {
        let database = &self.database;
        database
            .update_snapshot(workspace, id, title, pinned)
            .await?;
        self.get(workspace, id).await
    }

    /// Deletes a snapshot.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Precondition`] with PINNED.
    pub async fn delete(&self, workspace: WorkspaceId, id: SnapshotId) -> Result<(), Error> {
        self.get(workspace, id).await?;
        if self.database.delete_snapshot(workspace, id).await? {
            return Ok(());
        }
        Err(Error::Precondition {
            reason: "PINNED",
            message: "this snapshot is pinned; unpin it first".to_owned(),
        })
    }

    /// Lets go of what nobody asked to keep long ago, now and again and again, until `stop`.
    pub async fn keep_tidy(self, stop: CancellationToken) {
        let tidying = async {
            loop {
                self.expire().await;
                tokio::time::sleep(PERIOD).await;
            }
        };
        tokio::select! {
            () = tidying => {}
            () = stop.cancelled() => {}
        }
    }

    async fn expire(&self) {
        let before = self.clock.now() - LIFETIME;
        for kind in [Kind::BeforeRestore, Kind::RunBase, Kind::RunResult] {
            let expired = self.database.expire_snapshots(kind.word(), before).await;
            if let Err(error) = expired {
                Error::from(error).log();
            }
        }
    }

    /// Paths of which a manifest differs from the recorded one of this name.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn changed_since(
        &self,
        workspace: WorkspaceId,
        before: &str,
        after: Manifest,
    ) -> Result<Vec<TreePath>, Error> {
        self.changes.fetch_manifest(workspace, before).await?;
        let (snapshots, before) = (self.clone(), named(before)?);
        blocking(move || {
            let before = snapshots.changes.tree(workspace)?.manifest(&before)?;
            differing(&before, &after)
        })
        .await
    }

    /// Paths of which the files differ from the recorded manifest of this name.
    ///
    /// # Errors
    /// When the tree or the store can't be read.
    pub async fn changed_in_files(
        &self,
        workspace: WorkspaceId,
        before: &str,
    ) -> Result<Vec<TreePath>, Error> {
        self.changes.fetch_manifest(workspace, before).await?;
        let (snapshots, before) = (self.clone(), named(before)?);
        blocking(move || {
            let before = snapshots.changes.tree(workspace)?.manifest(&before)?;
            differing(&before, &snapshots.record(workspace)?.1)
        })
        .await
    }

    /// Refuses what somebody sends when the workspace has too much in the object store.
    ///
    /// # Errors
    /// [`Error::Exhausted`] with STORE_FULL; [`Error::Unavailable`].
    async fn check_elsewhere(&self, workspace: WorkspaceId) -> Result<(), Error> {
        let measure = self.changes.measure_elsewhere(workspace);
        let room = &self.room_elsewhere;
        room.check_elsewhere(workspace, measure).await
    }

    fn record(&self, workspace: WorkspaceId) -> Result<(Digest, Manifest), Error> {
        self.changes.tree(workspace)?.record(self.clock.now())
    }

    async fn insert(
        &self,
        new: NewSnapshot,
        kind: Kind,
        picture: Picture,
    ) -> Result<snapshot::Model, Error> {
        // Until the row is there: nobody may take away what it needs.
        let (_sharing, sent) = self.changes.send(new.workspace, picture.manifest).await?;
        self.room_elsewhere.add(new.workspace, sent);
        let row = snapshot::Model {
            id: SnapshotId::new().0,
            workspace_id: new.workspace.0,
            user_id: Some(new.user.0).filter(|id| !id.is_nil()),
            kind: kind.word().to_owned(),
            title: new.title,
            pinned: new.pinned,
            create_time: self.clock.now(),
            manifest: picture.manifest.to_string(),
            tree: picture.tree.to_string(),
            file_count: picture.files,
            total_bytes: i64::try_from(picture.bytes).unwrap_or(i64::MAX),
            skipped: picture.skipped,
        };
        self.database.insert_snapshot(row, new.key).await
    }
}

/// Paths at which something else stands, or nothing any more; not the directories above them.
fn differing(before: &Manifest, after: &Manifest) -> Result<Vec<TreePath>, Error> {
    Ok(compare(before, after)
        .into_iter()
        .map(|change| change.path)
        .collect())
}

/// What a row says of a manifest that is stored.
struct Picture {
    manifest: Digest,
    tree: Digest,
    files: i64,
    bytes: u64,
    /// The first of the paths that were left out, as JSON.
    skipped: String,
}

impl Picture {
    fn of(digest: Digest, manifest: &Manifest) -> Result<Self, Error> {
        let mut picture = Self {
            manifest: digest,
            tree: manifest.tree_digest(),
            files: 0,
            bytes: 0,
            skipped: skipped(manifest)?,
        };
        for entry in manifest.entries() {
            if let Node::File { size, .. } = entry.node {
                picture.files += 1;
                picture.bytes = picture.bytes.saturating_add(size);
            }
        }
        Ok(picture)
    }
}

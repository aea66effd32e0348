//! Letting go of contents that no change set needs any more, because their session or workspace was
//! deleted, or a scan was cut off.

use std::{collections::HashSet, time::Duration};

use membrane_files::store::{Collected, Digest, collect};
use tokio_util::sync::CancellationToken;

use super::{
    Changes,
    trees::{broken, named},
};
use crate::{
    clock::Millis,
    error::Error,
    id::WorkspaceId,
    objects::{Bucket, Shelf},
    time::system_time,
    uploads::blocking,
};

/// How often every workspace's store is looked through.
const PERIOD: Duration = Duration::from_secs(6 * 3_600);
/// How long after a workspace is gone its objects are looked for: longer than anybody can still be
/// sending some.
const LATEST: Millis = 24 * 3_600_000;
/// How old contents must be to go: older than the longest scan of a tree.
const GRACE: Duration = Duration::from_secs(3_600);

impl Changes {
    /// Looks through every workspace's store, now and again and again, until `stop`.
    pub async fn keep_tidy(self, stop: CancellationToken) {
        let tidying = async {
            loop {
                if let Err(error) = self.collect_all().await {
                    error.log();
                }
                tokio::time::sleep(PERIOD).await;
            }
        };
        tokio::select! {
            () = tidying => {}
            () = stop.cancelled() => {}
        }
    }

    /// Removes the objects of workspaces that are gone. What can't be removed is tried again the next
    /// time.
    pub(crate) async fn remove_objects(&self) {
        if let Some(bucket) = &self.bucket
            && let Err(error) = self.remove_objects_in(bucket).await
        {
            error.log();
        }
    }

    async fn remove_objects_in(&self, bucket: &Bucket) -> Result<(), Error> {
        for (workspace, delete_time) in self.database.workspace_remains().await? {
            let removed = bucket.remove(workspace).await?;
            if removed == 0 && delete_time + LATEST < self.clock.now() {
                self.database.forget_remains(workspace).await?;
            }
        }
        Ok(())
    }

    async fn collect_all(&self) -> Result<(), Error> {
        self.remove_objects().await;
        for workspace in self.database.workspace_ids().await? {
            match self.collect(workspace).await {
                Ok(collected) if collected.blobs > 0 => tracing::info!(
                    workspace.id = %workspace,
                    contents.count = collected.blobs,
                    contents.size_bytes = collected.bytes,
                    "removed contents that no change set needs"
                ),
                Ok(_) => {}
                // One damaged store must not keep the others from being tidied.
                Err(error) => error.log(),
            }
        }
        Ok(())
    }

    /// Removes what nothing of a workspace needs and is older than an hour: of what snapshots need,
    /// nothing that is not in the object store, and of that nothing that is.
    ///
    /// # Errors
    /// When the store, the object store or the database can't be read; then nothing is removed from the
    /// store.
    pub async fn collect(&self, workspace: WorkspaceId) -> Result<Collected, Error> {
        let Some(shelf) = self.shelf(workspace).await? else {
            return self.collect_here(workspace, &HashSet::new()).await;
        };
        let there = self.collect_there(&shelf, workspace).await?;
        match shelf.alone().await? {
            Some(_alone) => self.collect_here(workspace, &there).await,
            // Somebody sends a snapshot: the next time, then.
            None => Ok(Collected::default()),
        }
    }

    /// Removes what is not needed from the store. Snapshots of these manifests need nothing of it.
    async fn collect_here(
        &self,
        workspace: WorkspaceId,
        elsewhere: &HashSet<Digest>,
    ) -> Result<Collected, Error> {
        let mut roots = self.kept(workspace).await?;
        roots.retain(|digest| !elsewhere.contains(digest));
        for name in self.database.changed_manifests(workspace).await? {
            roots.push(named(&name)?);
        }
        let changes = self.clone();
        blocking(move || {
            let now = system_time(changes.clock.now());
            let store = changes.tree(workspace)?.store;
            collect(&store, roots, now, GRACE).map_err(broken)
        })
        .await
    }

    /// Sends snapshots that are not in the object store yet, and removes what none needs. Answers the
    /// manifests that are there.
    async fn collect_there(
        &self,
        shelf: &Shelf,
        workspace: WorkspaceId,
    ) -> Result<HashSet<Digest>, Error> {
        let grace = Millis::try_from(GRACE.as_millis()).unwrap_or(Millis::MAX);
        let mut marks = shelf.look(self.clock.now() - grace).await?;
        let there = marks.manifests();
        self.send_left(shelf, workspace, &there).await?;
        shelf.mark(&mut marks, self.kept(workspace).await?).await?;
        let Some(_alone) = shelf.alone().await? else {
            return Ok(there);
        };
        // Rows that have come meanwhile may need what seemed not to be needed, and so may what was sent
        // and has no row.
        shelf.mark(&mut marks, self.kept(workspace).await?).await?;
        shelf.mark_since(&mut marks).await?;
        let swept = shelf.sweep(marks).await?;
        if swept.objects > 0 {
            tracing::info!(
                workspace.id = %workspace,
                objects.count = swept.objects,
                objects.size_bytes = swept.bytes,
                "removed objects that no snapshot needs"
            );
        }
        Ok(there)
    }

    /// Sends what was made before there was an object store. A snapshot that can't be read does not keep
    /// the others here.
    async fn send_left(
        &self,
        shelf: &Shelf,
        workspace: WorkspaceId,
        there: &HashSet<Digest>,
    ) -> Result<(), Error> {
        let kept = self.kept(workspace).await?;
        let (sent, left): (Vec<_>, Vec<_>) = kept
            .into_iter()
            .partition(|manifest| there.contains(manifest));
        let mut base = sent.first().copied();
        for manifest in left {
            let _sharing = shelf.share().await?;
            match shelf.send(manifest, base, true).await {
                Err(error @ Error::Unavailable(_)) => return Err(error),
                Err(error) => error.log(),
                Ok(_) => base = Some(manifest),
            }
        }
        Ok(())
    }

    /// What snapshots and unfinished runs need.
    pub(super) async fn kept(&self, workspace: WorkspaceId) -> Result<Vec<Digest>, Error> {
        let names = self.database.kept_manifests(workspace).await?;
        names.iter().map(|name| named(name)).collect()
    }
}

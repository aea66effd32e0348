//! What snapshots need, in an object store, if there is one: sent before a row names it, and fetched
//! before it is used. Where there is none, nothing here does anything.

use membrane_files::store::{Digest, compare};

use super::{Changes, trees::named};
use crate::{
    error::Error,
    id::WorkspaceId,
    objects::{Held, Shelf, Wanted},
    uploads::blocking,
};

/// What all lock, servers and commands, who use a workspace's store and its objects: beside the store.
const LOCK: &str = "store.lock";

impl Changes {
    /// Whether what snapshots need is kept in an object store.
    pub(crate) fn has_bucket(&self) -> bool {
        self.bucket.is_some()
    }

    /// A workspace's objects; none without an object store.
    pub(super) async fn shelf(&self, workspace: WorkspaceId) -> Result<Option<Shelf>, Error> {
        let Some(bucket) = self.bucket.clone() else {
            return Ok(None);
        };
        let changes = self.clone();
        let opened = blocking(move || {
            let lock = changes.places.place(workspace).files.with_file_name(LOCK);
            let store = changes.tree(workspace)?.store;
            Ok(bucket.shelf(workspace, store, lock))
        });
        opened.await.map(Some)
    }

    /// How many bytes a workspace has in the object store; none without one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn measure_elsewhere(&self, workspace: WorkspaceId) -> Result<u64, Error> {
        match self.shelf(workspace).await? {
            Some(shelf) => shelf.measure().await,
            None => Ok(0),
        }
    }

    /// Sends what a manifest needs to the object store. What is there stays as long as the answer lives,
    /// which is until a row names the manifest. Answers also how many bytes were sent.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; when the store can't be read.
    pub(crate) async fn send(
        &self,
        workspace: WorkspaceId,
        manifest: Digest,
    ) -> Result<(Option<Held>, u64), Error> {
        let Some(shelf) = self.shelf(workspace).await? else {
            return Ok((None, 0));
        };
        let sharing = shelf.share().await?;
        let base = self.latest(workspace).await?;
        let is_kept = self.kept(workspace).await?.contains(&manifest);
        let sent = shelf.send(manifest, base, is_kept).await?;
        Ok((Some(sharing), sent))
    }

    /// The manifest of the latest snapshot, if there is one.
    async fn latest(&self, workspace: WorkspaceId) -> Result<Option<Digest>, Error> {
        let latest = self.database.latest_snapshot_manifest(workspace).await?;
        latest.map(|name| named(&name)).transpose()
    }

    /// Fetches what a snapshot has of these contents: the one with the manifest `base`, or the latest.
    /// Answers what it does not have.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Lost`].
    pub(crate) async fn fetch_of(
        &self,
        workspace: WorkspaceId,
        base: Option<String>,
        wanted: Vec<Digest>,
    ) -> Result<Vec<Digest>, Error> {
        let Some(shelf) = self.shelf(workspace).await?.filter(|_| !wanted.is_empty()) else {
            return Ok(wanted);
        };
        let base = match base {
            Some(name) => Some(named(&name)?),
            None => self.latest(workspace).await?,
        };
        let Some(base) = base else {
            return Ok(wanted);
        };
        let _sharing = shelf.share().await?;
        let there = shelf.contents_there(base).await?;
        let is_there = |wanted: &Digest| there.contains_key(wanted);
        let (found, missing): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_there);
        let found = found.into_iter().map(|digest| Wanted {
            digest,
            size: there.get(&digest).copied(),
        });
        shelf.fetch(found.collect()).await?;
        Ok(missing)
    }

    /// Sees that contents are in the store.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Lost`].
    pub(crate) async fn fetch(
        &self,
        workspace: WorkspaceId,
        wanted: Vec<Wanted>,
    ) -> Result<(), Error> {
        match self.shelf(workspace).await? {
            Some(shelf) => shelf.fetch(wanted).await,
            None => Ok(()),
        }
    }

    /// Sees that a manifest is in the store.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Lost`].
    pub(crate) async fn fetch_manifest(
        &self,
        workspace: WorkspaceId,
        name: &str,
    ) -> Result<(), Error> {
        self.fetch(workspace, vec![Wanted::any(named(name)?)]).await
    }

    /// Sees that a manifest is in the store with everything that it names.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Lost`].
    pub(crate) async fn fetch_tree(&self, workspace: WorkspaceId, name: &str) -> Result<(), Error> {
        let Some(shelf) = self.shelf(workspace).await? else {
            return Ok(());
        };
        let digest = named(name)?;
        shelf.fetch(vec![Wanted::any(digest)]).await?;
        let manifest = shelf.load(digest).await?;
        shelf.fetch(Wanted::all(&manifest).collect()).await
    }

    /// Sees that the contents in which two trees differ are in the store, up to so many bytes of each.
    /// The second tree may be the one that is there now.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Lost`].
    pub(super) async fn fetch_difference(
        &self,
        workspace: WorkspaceId,
        (before, after): (&str, Option<&str>),
        largest: u64,
    ) -> Result<(), Error> {
        let Some(shelf) = self.shelf(workspace).await? else {
            return Ok(());
        };
        let before = named(before)?;
        let after = after.map(named).transpose()?;
        let manifests = [Some(before), after].into_iter().flatten();
        shelf.fetch(manifests.map(Wanted::any).collect()).await?;
        let changes = self.clone();
        let wanted = blocking(move || {
            let tree = changes.tree(workspace)?;
            let before = tree.manifest(&before)?;
            let after = match after {
                Some(after) => tree.manifest(&after)?,
                None => tree.record(changes.clock.now())?.1,
            };
            let nodes = compare(&before, &after)
                .into_iter()
                .flat_map(|change| [change.before, change.after]);
            let wanted = nodes.flatten().filter_map(|node| Wanted::of(&node));
            let is_small = |wanted: &Wanted| wanted.size.is_some_and(|size| size <= largest);
            Ok(wanted.filter(is_small).collect::<Vec<_>>())
        });
        shelf.fetch(wanted.await?).await
    }
}

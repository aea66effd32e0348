//! Snapshots out as zip archives, and in from them.

use std::fs::File;

use membrane_entity::snapshot;
use membrane_files::{
    Limits, Summary, export_manifest, import_zip,
    store::{ScanOptions, StatCache, scan},
};

use super::{Kind, NewSnapshot, Picture, Snapshots};
use crate::{
    changes::{broken, named, refused},
    error::Error,
    files::{Chunks, export_limits},
    id::{SnapshotId, WorkspaceId},
    time::system_time,
    uploads::{Receiving, blocking},
    workspaces,
};

impl Snapshots {
    /// Makes a zip archive of a snapshot. An error in the middle ends it; so does dropping it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Exhausted`] when too many are made at the same time.
    pub async fn export(&self, workspace: WorkspaceId, id: SnapshotId) -> Result<Chunks, Error> {
        let row = self.get(workspace, id).await?;
        self.export_manifest(workspace, row.manifest).await
    }

    /// The same for a recorded manifest by its name.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when too many are made at the same time.
    pub async fn export_manifest(
        &self,
        workspace: WorkspaceId,
        name: String,
    ) -> Result<Chunks, Error> {
        self.changes.fetch_tree(workspace, &name).await?;
        let snapshots = self.clone();
        self.files.archive(move |out| {
            let tree = snapshots.changes.tree(workspace)?;
            let manifest = tree.manifest(&named(&name)?)?;
            let exported = export_manifest(&tree.store, &manifest, out, &export_limits());
            exported.map(drop).map_err(workspaces::refused)
        })
    }

    /// Makes a snapshot of an archive that was received, for what `kind` says. Answers also what the archive had.
    ///
    /// # Errors
    /// The archive's own reason; [`Error::Exhausted`] with STORE_FULL.
    pub async fn import(
        &self,
        new: NewSnapshot,
        received: Receiving,
        kind: Kind,
    ) -> Result<(snapshot::Model, Summary), Error> {
        let (workspace, snapshots) = (new.workspace, self.clone());
        self.check_elsewhere(workspace).await?;
        let unpacked = blocking(move || snapshots.unpack(workspace, received.file()));
        let (picture, summary) = unpacked.await?;
        let row = self.insert(new, kind, picture).await?;
        Ok((row, summary))
    }

    fn unpack(&self, workspace: WorkspaceId, archive: &File) -> Result<(Picture, Summary), Error> {
        self.files.aside(workspace, |directory| {
            let imported = import_zip(archive, directory, &Limits::default());
            let summary = imported.map_err(workspaces::refused)?;
            let store = self.changes.tree(workspace)?.store;
            self.room.check(workspace, &store)?;
            let now = system_time(self.clock.now());
            let options = ScanOptions::default();
            let scanned = scan(directory, &store, &mut StatCache::default(), now, &options);
            let manifest = scanned.map_err(refused)?.manifest;
            let digest = store.save_manifest(&manifest).map_err(broken)?;
            self.room.add(workspace, summary.total_bytes);
            Ok((Picture::of(digest, &manifest)?, summary))
        })
    }
}

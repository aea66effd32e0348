//! Incremental sync: which contents are missing, contents in and out, and a manifest of what is
//! there. Every digest is verified, and a store belongs to one workspace.

use std::{
    collections::HashSet,
    io::{Seek as _, SeekFrom},
};

use bytes::Bytes;
use membrane_entity::snapshot;
use membrane_files::store::{Blob, Digest, Entry, Manifest, Node, Store};

use super::{Kind, NewSnapshot, Picture, Snapshots};
use crate::{
    changes::broken,
    error::Error,
    id::WorkspaceId,
    objects::Wanted,
    server::App,
    uploads::{Receiving, blocking},
};

/// Largest contents in bytes: what is larger is in no manifest.
pub const MAX_BLOB: u64 = 1 << 30;
/// Bytes of a blob on its way in that are held in memory; what follows goes to a file.
const HELD: usize = 1 << 20;

impl Snapshots {
    /// Which of these contents the store lacks, each once. Those that it has are kept for as long as
    /// if they were new. What it had once it gets back, if it is in the snapshot with the manifest `base`,
    /// or the latest one.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn missing(
        &self,
        workspace: WorkspaceId,
        files: Vec<(Digest, u64)>,
        base: Option<String>,
    ) -> Result<Vec<Digest>, Error> {
        let snapshots = self.clone();
        let missing = blocking(move || {
            let store = snapshots.changes.tree(workspace)?.store;
            let mut seen = HashSet::new();
            let mut missing = Vec::new();
            for (digest, size) in files {
                if seen.insert(digest) && !store.touch(&digest, size).map_err(broken)? {
                    missing.push(digest);
                }
            }
            Ok(missing)
        });
        let missing = missing.await?;
        self.changes.fetch_of(workspace, base, missing).await
    }

    /// Opens contents.
    ///
    /// # Errors
    /// When the store does not have them.
    pub async fn blob(&self, workspace: WorkspaceId, digest: Digest) -> Result<Blob, Error> {
        let wanted = vec![Wanted::any(digest)];
        self.changes.fetch(workspace, wanted).await?;
        let snapshots = self.clone();
        blocking(move || {
            let store = snapshots.changes.tree(workspace)?.store;
            store.get(&digest).map_err(broken)
        })
        .await
    }

    /// Stores contents that have arrived.
    ///
    /// # Errors
    /// [`Error::Rejected`] with DIGEST_MISMATCH; [`Error::Exhausted`] with STORE_FULL.
    pub async fn keep(&self, workspace: WorkspaceId, blob: Arriving) -> Result<(), Error> {
        self.check_elsewhere(workspace).await?;
        let snapshots = self.clone();
        blocking(move || {
            let store = snapshots.changes.tree(workspace)?.store;
            if store.contains(&blob.digest).map_err(broken)? {
                return blob.store(&store);
            }
            snapshots.room.check(workspace, &store)?;
            let size = blob.size;
            blob.store(&store)?;
            snapshots.room.add(workspace, size);
            Ok(())
        })
        .await
    }

    /// Makes a snapshot of entries whose contents the store has, for what `kind` says.
    ///
    /// # Errors
    /// [`Error::Invalid`] for entries that make no tree; [`Error::Precondition`] with MISSING_BLOB.
    pub async fn commit(
        &self,
        new: NewSnapshot,
        entries: Vec<Entry>,
        kind: Kind,
    ) -> Result<snapshot::Model, Error> {
        let (workspace, snapshots) = (new.workspace, self.clone());
        let made = blocking(move || {
            let manifest = Manifest::new(entries, Vec::new());
            let manifest =
                manifest.map_err(|error| Error::invalid("entries", error.to_string()))?;
            let store = snapshots.changes.tree(workspace)?.store;
            check(&store, &manifest)?;
            let digest = store.save_manifest(&manifest).map_err(broken)?;
            Picture::of(digest, &manifest)
        });
        self.insert(new, kind, made.await?).await
    }
}

/// Sees that the store has what a manifest names.
fn check(store: &Store, manifest: &Manifest) -> Result<(), Error> {
    for entry in manifest.entries() {
        let Node::File { digest, size, .. } = &entry.node else {
            continue;
        };
        if !store.touch(digest, *size).map_err(broken)? {
            return Err(Error::Precondition {
                reason: "MISSING_BLOB",
                message: format!(
                    "the contents of {} with {size} bytes are not there; upload them first",
                    entry.path
                ),
            });
        }
    }
    Ok(())
}

/// Contents on their way in. Dropping them removes what has arrived.
#[derive(Debug)]
pub struct Arriving {
    digest: Digest,
    held: Vec<u8>,
    /// Everything, once it is more than is held.
    spilled: Option<Receiving>,
    size: u64,
}

impl Arriving {
    /// Contents that are said to have this digest.
    #[must_use]
    pub fn new(digest: Digest) -> Self {
        Self {
            digest,
            held: Vec::new(),
            spilled: None,
            size: 0,
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an overlong part; [`Error::Exhausted`] with BLOB_TOO_LARGE.
    pub async fn write(&mut self, app: &App, data: Bytes) -> Result<(), Error> {
        self.size += data.len() as u64;
        if self.size > MAX_BLOB {
            return Err(Error::Exhausted {
                reason: "BLOB_TOO_LARGE",
                message: format!("contents can have at most {MAX_BLOB} bytes"),
            });
        }
        if let Some(spilled) = &mut self.spilled {
            return spilled.write(data).await;
        }
        if self.held.len() + data.len() <= HELD {
            self.held.extend_from_slice(&data);
            return Ok(());
        }
        let mut spilled = Receiving::begin_up_to(app, MAX_BLOB)?;
        spilled.write(std::mem::take(&mut self.held).into()).await?;
        spilled.write(data).await?;
        self.spilled = Some(spilled);
        Ok(())
    }

    fn store(self, store: &Store) -> Result<(), Error> {
        let found = match self.spilled {
            Some(spilled) => {
                let mut file = spilled.file().try_clone()?;
                file.seek(SeekFrom::Start(0))?;
                store.put(file).map_err(broken)?.0
            }
            None if Digest::of(&self.held) == self.digest => {
                store.put_bytes(&self.held).map_err(broken)?
            }
            None => Digest::of(&self.held),
        };
        if found == self.digest {
            return Ok(());
        }
        Err(Error::Rejected {
            reason: "DIGEST_MISMATCH",
            message: format!("the contents of {} have the digest {found}", self.digest),
        })
    }
}

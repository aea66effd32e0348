//! One workspace's objects, beside its store.

use std::{
    fs::{File, TryLockError},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use membrane_files::store::{Digest, Manifest, Node, Store};
use object_store::path::Path;

use super::{Bucket, name::Name};
use crate::{changes::broken, error::Error, uploads::blocking};

/// How often a lock is tried for, and the pause before the next time.
const ATTEMPTS: usize = 50;
const PAUSE: Duration = Duration::from_millis(200);

/// How a lock is tried for.
type TryLock = fn(&File) -> Result<(), TryLockError>;

/// One workspace's objects, opened for one piece of work.
#[derive(Debug)]
pub struct Shelf {
    pub(super) bucket: Bucket,
    pub(super) top: Path,
    /// What is here.
    pub(super) store: Arc<Store>,
    pub(super) lock: PathBuf,
}

/// Keeps others from what it was got for, as long as it lives.
#[derive(Debug)]
pub struct Held {
    _file: File,
}

/// Contents that are wanted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Which.
    pub digest: Digest,
    /// Their size in bytes, where that is known.
    pub size: Option<u64>,
}

impl Wanted {
    /// Something of which nothing but the digest is known.
    #[must_use]
    pub fn any(digest: Digest) -> Self {
        Self { digest, size: None }
    }

    /// The contents of what stands somewhere, if it has any.
    #[must_use]
    pub fn of(node: &Node) -> Option<Self> {
        match node {
            Node::File { digest, size, .. } => Some(Self {
                digest: *digest,
                size: Some(*size),
            }),
            _ => None,
        }
    }

    /// All contents that a manifest names.
    pub fn all(manifest: &Manifest) -> impl Iterator<Item = Self> {
        let entries = manifest.entries().iter();
        entries.filter_map(|entry| Self::of(&entry.node))
    }
}

impl Shelf {
    /// Lets nobody remove anything, here or there, as long as the answer lives: from before it is asked
    /// what is there until a row names it. Waits a while for whoever removes something.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when that takes long; the file system's own.
    pub async fn share(&self) -> Result<Held, Error> {
        let held = self.held(File::try_lock_shared).await?;
        held.ok_or(Error::Unavailable(
            "waiting until what no snapshot needs is removed",
        ))
    }

    /// Lets nobody rely on what is there, as long as the answer lives; nothing if somebody does, and goes
    /// on doing it for a while.
    ///
    /// # Errors
    /// The file system's own.
    pub async fn alone(&self) -> Result<Option<Held>, Error> {
        self.held(File::try_lock).await
    }

    /// Tries for a while, and keeps no thread waiting.
    async fn held(&self, lock: TryLock) -> Result<Option<Held>, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(held) = self.try_held(lock).await? {
                return Ok(Some(held));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(None)
    }

    async fn try_held(&self, lock: TryLock) -> Result<Option<Held>, Error> {
        let path = self.lock.clone();
        blocking(move || {
            let file = open(path)?;
            match lock(&file) {
                Ok(()) => Ok(Some(Held { _file: file })),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(error.into()),
            }
        })
        .await
    }

    /// Whether a manifest is there with all that it names.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn has(&self, manifest: Digest) -> Result<bool, Error> {
        self.has_object(Name::Manifest(manifest)).await
    }

    pub(super) async fn has_object(&self, name: Name) -> Result<bool, Error> {
        self.bucket.has(&self.path(name)).await
    }

    pub(super) async fn put(&self, name: Name, bytes: Bytes) -> Result<(), Error> {
        self.bucket.put(&self.path(name), bytes).await
    }

    pub(super) async fn get(&self, name: Name, limit: u64) -> Result<Option<Bytes>, Error> {
        self.bucket.get(&self.path(name), limit).await
    }

    pub(super) fn path(&self, name: Name) -> Path {
        let (directory, name) = name.parts();
        self.top.clone().join(directory).join(name)
    }

    /// Does something with the store, off the async threads.
    pub(super) async fn here<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.store.clone();
        blocking(move || work(&store)).await
    }

    /// A manifest that is here.
    ///
    /// # Errors
    /// When it is not, or can't be read.
    pub async fn load(&self, manifest: Digest) -> Result<Manifest, Error> {
        self.here(move |store| store.load_manifest(&manifest).map_err(broken))
            .await
    }
}

fn open(path: PathBuf) -> Result<File, Error> {
    let mut options = File::options();
    let options = options.create(true).truncate(false).write(true);
    Ok(options.open(path)?)
}

//! The object store as a whole: requests, a bound on how many are under way, and what their errors mean.

use std::{iter::successors, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use membrane_files::store::Store;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, PutPayload, path::Path};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::{Place, Shelf};
use crate::{error::Error, id::WorkspaceId};

/// Small contents on their way at the same time, of all workspaces together, and large ones. Of each of
/// these some chunks are in memory.
const SMALL: usize = 16;
const LARGE: usize = 3;

/// An object store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Bucket {
    /// Opens a bucket, and tries whether all that is needed can be done in it.
    ///
    /// # Errors
    /// What can't be done, in words for an operator.
    pub async fn open(place: &Place) -> anyhow::Result<Self> {
        let client = place.client().map_err(|error| {
            anyhow::anyhow!("the object store can't be used: {}", words(&error))
        })?;
        let bucket = Self::over(Arc::new(client), &place.prefix);
        bucket.probe().await.map_err(|(doing, error)| {
            anyhow::anyhow!(
                "the bucket {:?} can't be used: {doing} failed: {}; see MEMBRANE_BLOB_STORE and the AWS_ variables",
                place.bucket,
                words(&error)
            )
        })?;
        Ok(bucket)
    }

    /// What keeps objects in this store, with names that begin so.
    pub(super) fn over(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self {
            store,
            prefix: Path::from(prefix),
            small: Arc::new(Semaphore::new(SMALL)),
            large: Arc::new(Semaphore::new(LARGE)),
        }
    }

    async fn probe(&self) -> Result<(), (&'static str, object_store::Error)> {
        let path = self
            .prefix
            .clone()
            .join("probe")
            .join(Uuid::new_v4().to_string());
        let put = self.store.put(&path, PutPayload::from_static(b"membrane"));
        put.await.map_err(|error| ("writing an object", error))?;
        let got = async { self.store.get(&path).await?.bytes().await };
        got.await.map_err(|error| ("reading an object", error))?;
        let listed = self.store.list(Some(&self.prefix)).next().await;
        listed
            .transpose()
            .map_err(|error| ("listing objects", error))?;
        let deleted = self.store.delete(&path).await;
        deleted.map_err(|error| ("deleting an object", error))
    }

    /// A workspace's objects, beside its store. `lock` is a file that all have who use both.
    #[must_use]
    pub fn shelf(&self, workspace: WorkspaceId, store: Store, lock: PathBuf) -> Shelf {
        Shelf {
            bucket: self.clone(),
            top: self.of(workspace),
            store: Arc::new(store),
            lock,
        }
    }

    /// Removes all objects of a workspace; answers how many there were.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn remove(&self, workspace: WorkspaceId) -> Result<usize, Error> {
        let paths = self.list(&self.of(workspace)).map_ok(|meta| meta.location);
        let paths: Vec<Path> = paths.try_collect().await?;
        let count = paths.len();
        self.delete(paths).await?;
        Ok(count)
    }

    fn of(&self, workspace: WorkspaceId) -> Path {
        let workspaces = self.prefix.clone().join("workspaces");
        workspaces.join(workspace.to_string())
    }

    /// Leave to move contents that are one object.
    pub(super) async fn small(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.small.acquire().await.map_err(closed)
    }

    /// Leave to move contents that are several.
    pub(super) async fn large(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.large.acquire().await.map_err(closed)
    }

    /// Writes an object.
    pub(super) async fn put(&self, path: &Path, bytes: Bytes) -> Result<(), Error> {
        let put = self.store.put(path, bytes.into()).await;
        put.map(drop).map_err(away)
    }

    /// Reads an object of at most so many bytes: nothing if it is not there, and of a larger one
    /// nothing but its beginning.
    pub(super) async fn get(&self, path: &Path, limit: u64) -> Result<Option<Bytes>, Error> {
        let got = match self.store.get(path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            got => got.map_err(away)?,
        };
        if got.meta.size > limit {
            return Ok(Some(Bytes::new()));
        }
        got.bytes().await.map(Some).map_err(away)
    }

    /// Whether an object is there.
    pub(super) async fn has(&self, path: &Path) -> Result<bool, Error> {
        match self.store.head(path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(away(error)),
        }
    }

    /// What there is beneath a directory.
    pub(super) fn list(&self, directory: &Path) -> BoxStream<'static, Result<ObjectMeta, Error>> {
        self.store.list(Some(directory)).map_err(away).boxed()
    }

    /// Removes objects; those that are gone already do no harm.
    pub(super) async fn delete(&self, paths: Vec<Path>) -> Result<(), Error> {
        let paths = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
        let mut deleted = self.store.delete_stream(paths);
        while let Some(outcome) = deleted.next().await {
            match outcome {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(away(error)),
            }
        }
        Ok(())
    }
}

/// Nobody closes the semaphores.
fn closed(_: AcquireError) -> Error {
    Error::Internal("the object store was closed".to_owned())
}

/// A store that does not do what it is asked: whoever asked may try again.
fn away(error: object_store::Error) -> Error {
    tracing::warn!(error.message = %words(&error), "the object store could not be used; whoever asked is told to try again");
    Error::Unavailable("out of touch with its object store")
}

/// An error in words. What a store answers may repeat what it was told, keys' names included, so of an
/// answer only its code is taken.
fn words(error: &object_store::Error) -> String {
    let text = error.to_string();
    let (head, answer) = text.split_at(text.find('<').unwrap_or(text.len()));
    let head = head.trim_end_matches([' ', ':', '\n']);
    let code = answer
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"));
    match (code, cause(error)) {
        (Some((code, _)), _) => format!("{head}: {code}"),
        (None, Some(cause)) if answer.is_empty() && !head.ends_with(&cause) => {
            format!("{head}: {cause}")
        }
        _ => head.to_owned(),
    }
}

/// What is at the bottom of an error.
fn cause(error: &dyn std::error::Error) -> Option<String> {
    let causes = successors(error.source(), |error| error.source());
    causes.last().map(ToString::to_string)
}

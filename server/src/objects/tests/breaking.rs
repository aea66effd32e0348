//! Cut off after every number of writes: what is said to be there is there, whole.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use membrane_files::store::Digest;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    memory::InMemory, path::Path,
};
use tempfile::TempDir;

use super::{Bucket, Desk, Shelf, noise};
use crate::objects::name::Name;

/// A store that goes away after some writes.
#[derive(Debug, Clone)]
struct Breaking {
    store: Arc<InMemory>,
    left: Arc<AtomicUsize>,
}

impl Breaking {
    fn write(&self) -> Result<()> {
        let one_less = |left: usize| left.checked_sub(1);
        let spent = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        spent.map(drop).map_err(|_| object_store::Error::Generic {
            store: "breaking",
            source: "it is gone".into(),
        })
    }
}

impl fmt::Display for Breaking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("breaking")
    }
}

#[tonic::async_trait]
impl ObjectStore for Breaking {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.write()?;
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let deleted = locations.and_then(move |location| {
            let this = this.clone();
            async move {
                this.write()?;
                this.store.delete(&location).await?;
                Ok(location)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// Fetches every tree that is said to be there, beside an empty store.
async fn check(desk: &mut Desk) {
    let shelf = desk.shelf();
    let objects = shelf.objects().await.expect("a list");
    let manifests = objects.iter().filter_map(|object| match object.name {
        Name::Manifest(digest) => Some(digest),
        _ => None,
    });
    for manifest in manifests {
        shelf.tree(manifest).await.expect("all of it");
    }
}

/// Does something with a store that goes away after some writes, from one that has two snapshots, until
/// there is no need of more.
async fn cut_off(work: impl AsyncFn(&Shelf, [Digest; 3]) -> bool) {
    let (shared, old, new) = (noise(20, 3 << 20), noise(21, 2 << 20), noise(22, 3 << 20));
    for writes in 0.. {
        let mut desk = Desk::new();
        let directory = TempDir::new().expect("a directory");
        let shelf = desk.shelf_in(&directory, &desk.bucket);
        let trees = [
            &[&shared[..], &old, b"one"][..],
            &[&shared, b"two"],
            &[&shared, &new, b"three"],
        ];
        let manifests = trees.map(|files| shelf.record(files));
        for manifest in &manifests[..2] {
            shelf.send(*manifest, None, true).await.expect("sent");
        }
        let store = Breaking {
            store: desk.memory.clone(),
            left: Arc::new(AtomicUsize::new(writes)),
        };
        let bucket = Bucket::over(Arc::new(store), "some/prefix");
        let done = work(&desk.shelf_in(&directory, &bucket), manifests).await;
        check(&mut desk).await;
        if done {
            assert!(writes > 4, "it has hardly done anything");
            return;
        }
    }
}

#[tokio::test]
async fn what_is_sent_in_part_is_not_said_to_be_there() {
    cut_off(async |shelf, [_, base, new]| shelf.send(new, Some(base), true).await.is_ok()).await;
}

#[tokio::test]
async fn what_is_removed_in_part_is_not_said_to_be_there() {
    cut_off(async |shelf, [_, kept, _]| shelf.keep(&[kept]).await.is_ok()).await;
}

//! Sending: what a manifest names and the object store lacks.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use membrane_files::store::{Blob, Digest, Manifest, Store};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Shelf, Wanted,
    chunks::{self, Chunk, WHOLE},
    name::Name,
};
use crate::{changes::broken, error::Error};

/// Contents of one manifest that are sent at the same time.
const CONTENTS: usize = 8;
/// Chunks of one contents that are sent at the same time.
const CHUNKS: usize = 4;
/// If more contents than this are not known to be there, a list of all there is costs less than asking
/// for each.
const ASKED: usize = 500;

/// What is known to be there.
#[derive(Debug, Default)]
struct Known {
    /// Some of it.
    names: HashSet<Name>,
    /// Whether nothing else is.
    is_all: bool,
}

impl Shelf {
    /// Sends what a manifest that is here names and the object store lacks; last, that it is all there.
    /// `base` is a manifest of the same workspace that may be there: what it names is not asked for.
    /// `is_kept` says that a row names the manifest, so that nobody removed anything of it if it is there.
    /// The caller holds [`Shelf::share`]. Answers how many bytes were sent.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; when the store here can't be read.
    pub async fn send(
        &self,
        manifest: Digest,
        base: Option<Digest>,
        is_kept: bool,
    ) -> Result<u64, Error> {
        if is_kept && self.has(manifest).await? {
            return Ok(0);
        }
        let tree = self.load(manifest).await?;
        let mut wanted = contents_of(&tree);
        drop(tree);
        if let Some(base) = base {
            let there = match self.contents_there(base).await {
                Err(error @ Error::Unavailable(_)) => return Err(error),
                // What is wrong with an earlier one is no reason not to keep this one.
                Err(error) => {
                    error.log();
                    HashMap::new()
                }
                there => there?,
            };
            wanted.retain(|digest, _| !there.contains_key(digest));
        }
        wanted.insert(manifest, self.size(manifest).await?);
        let known = self.known(wanted.len()).await?;
        let (known, this) = (&known, &self);
        let sent = stream::iter(wanted)
            .map(|(digest, size)| async move { this.send_contents(digest, size, known).await })
            .buffer_unordered(CONTENTS)
            .try_fold(0, async |sum, bytes| Ok(sum + bytes))
            .await?;
        self.put(Name::Manifest(manifest), Bytes::new()).await?;
        Ok(sent)
    }

    /// The contents that a manifest names, with their sizes in bytes, if all of them are there. The caller
    /// holds [`Shelf::share`].
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Lost`].
    pub async fn contents_there(&self, manifest: Digest) -> Result<HashMap<Digest, u64>, Error> {
        if !self.has(manifest).await? {
            return Ok(HashMap::new());
        }
        self.fetch(vec![Wanted::any(manifest)]).await?;
        Ok(contents_of(&self.load(manifest).await?))
    }

    async fn known(&self, asked: usize) -> Result<Known, Error> {
        if asked <= ASKED {
            return Ok(Known::default());
        }
        let objects = self.objects().await?;
        Ok(Known {
            names: objects.into_iter().map(|object| object.name).collect(),
            is_all: true,
        })
    }

    pub(super) async fn size(&self, digest: Digest) -> Result<u64, Error> {
        self.here(move |store| store.size(&digest).map_err(broken))
            .await
    }

    async fn is_there(&self, name: Name, known: &Known) -> Result<bool, Error> {
        if known.names.contains(&name) || known.is_all {
            return Ok(known.names.contains(&name));
        }
        self.has_object(name).await
    }

    async fn send_contents(&self, digest: Digest, size: u64, known: &Known) -> Result<u64, Error> {
        if size > WHOLE {
            return self.send_chunks(digest, known).await;
        }
        let name = Name::Contents(digest);
        if self.is_there(name, known).await? {
            return Ok(0);
        }
        let _permit = self.bucket.small().await?;
        let read = self.here(move |store| store.read(&digest, WHOLE).map_err(broken));
        self.put(name, read.await?.into()).await?;
        Ok(size)
    }

    async fn send_chunks(&self, digest: Digest, known: &Known) -> Result<u64, Error> {
        let name = Name::List(digest);
        if self.is_there(name, known).await? {
            return Ok(0);
        }
        let _permit = self.bucket.large().await?;
        let (chunks, cut) = mpsc::channel(1);
        let store = self.store.clone();
        let cutting = spawn_blocking(move || cut_all(&store, digest, &chunks));
        let sent = ReceiverStream::new(cut)
            .map(|data| self.send_chunk(data, known))
            .buffered(CHUNKS)
            .try_collect::<Vec<(Chunk, u64)>>()
            .await;
        let cut = cutting.await;
        let (list, sent): (Vec<Chunk>, Vec<u64>) = sent?.into_iter().unzip();
        cut.map_err(|_| Error::Internal("contents were not cut".to_owned()))??;
        self.put(name, chunks::encode(&list)).await?;
        Ok(sent.iter().sum())
    }

    /// Answers also how many bytes were sent of it.
    async fn send_chunk(&self, data: Bytes, known: &Known) -> Result<(Chunk, u64), Error> {
        let chunk = Chunk {
            digest: Digest::of(&data),
            bytes: data.len() as u64,
        };
        let name = Name::Contents(chunk.digest);
        if self.is_there(name, known).await? {
            return Ok((chunk, 0));
        }
        self.put(name, data).await?;
        Ok((chunk, chunk.bytes))
    }
}

fn contents_of(tree: &Manifest) -> HashMap<Digest, u64> {
    let contents = Wanted::all(tree);
    contents
        .map(|wanted| (wanted.digest, wanted.size.unwrap_or(0)))
        .collect()
}

/// Cuts stored contents, and makes sure that they are what their name says.
fn cut_all(store: &Arc<Store>, digest: Digest, chunks: &mpsc::Sender<Bytes>) -> Result<(), Error> {
    let blob: Blob = store.get(&digest).map_err(broken)?;
    if chunks::cut(blob, chunks)? == digest {
        return Ok(());
    }
    Err(Error::Internal(format!("the store's {digest} is damaged")))
}

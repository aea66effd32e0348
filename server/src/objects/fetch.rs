//! Fetching: what is wanted here and is not, verified.

use std::{
    collections::HashSet,
    io::{self, Read},
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use membrane_files::store::{Blob, Digest, Store, StoreError};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    Shelf, Wanted,
    chunks::{self, Chunk, LARGEST, LARGEST_LIST, WHOLE},
    name::Name,
};
use crate::{changes::broken, error::Error};

/// Contents that are fetched at the same time.
const CONTENTS: usize = 8;
/// Chunks of one contents that are fetched at the same time.
const CHUNKS: usize = 4;

impl Shelf {
    /// Sees that contents are here, and that they stay for as long as if they were new.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Lost`] for what is neither here nor there, or is damaged there.
    pub async fn fetch(&self, wanted: Vec<Wanted>) -> Result<(), Error> {
        let missing = self.here(move |store| missing(store, wanted)).await?;
        stream::iter(missing)
            .map(|wanted| self.fetch_contents(wanted))
            .buffer_unordered(CONTENTS)
            .try_collect()
            .await
    }

    async fn fetch_contents(&self, wanted: Wanted) -> Result<(), Error> {
        let digest = wanted.digest;
        if wanted.size.is_none_or(|size| size <= WHOLE) {
            let _permit = self.bucket.small().await?;
            if let Some(bytes) = self.contents(digest).await? {
                let put = self.here(move |store| store.put_bytes(&bytes).map_err(broken));
                return put.await.map(drop);
            }
        }
        match self.list_of(digest).await? {
            Some(list) => self.fetch_chunks(digest, list).await,
            None => Err(lost(digest)),
        }
    }

    /// The chunks of larger contents, if they are there.
    pub(super) async fn list_of(&self, digest: Digest) -> Result<Option<Vec<Chunk>>, Error> {
        let Some(list) = self.get(Name::List(digest), LARGEST_LIST).await? else {
            return Ok(None);
        };
        chunks::decode(&list)
            .map(Some)
            .ok_or_else(|| damaged(digest))
    }

    /// Contents or a chunk, verified; nothing if they are not there.
    async fn contents(&self, digest: Digest) -> Result<Option<Bytes>, Error> {
        let got = self.get(Name::Contents(digest), LARGEST as u64).await?;
        match got {
            Some(bytes) if Digest::of(&bytes) != digest => Err(damaged(digest)),
            got => Ok(got),
        }
    }

    /// Puts contents together. What they are is seen when they are whole.
    async fn fetch_chunks(&self, digest: Digest, list: Vec<Chunk>) -> Result<(), Error> {
        let _permit = self.bucket.large().await?;
        let (pieces, receiver) = mpsc::channel(1);
        let store = self.store.clone();
        let putting = spawn_blocking(move || store.put(Pieces::new(receiver)).map_err(broken));
        self.feed(list, pieces).await?;
        let put = putting.await;
        let put = put.map_err(|_| Error::Internal("contents were not put together".to_owned()))?;
        match put? {
            (whole, _) if whole == digest => Ok(()),
            _ => Err(damaged(digest)),
        }
    }

    /// Hands chunks over in their order, and at the end a piece without bytes.
    async fn feed(&self, list: Vec<Chunk>, pieces: mpsc::Sender<Bytes>) -> Result<(), Error> {
        let chunk = async |chunk: Chunk| {
            let contents = self.contents(chunk.digest).await?;
            contents.ok_or_else(|| lost(chunk.digest))
        };
        let mut chunks = stream::iter(list).map(chunk).buffered(CHUNKS);
        while let Some(chunk) = chunks.try_next().await? {
            // Who takes no more has failed, and says why.
            if !chunk.is_empty() && pieces.send(chunk).await.is_err() {
                return Ok(());
            }
        }
        let _ = pieces.send(Bytes::new()).await;
        Ok(())
    }
}

/// What is not here of what is wanted; what is here becomes new.
fn missing(store: &Store, wanted: Vec<Wanted>) -> Result<Vec<Wanted>, Error> {
    let mut seen = HashSet::new();
    let mut missing = Vec::new();
    for one in wanted {
        if seen.insert(one.digest) && !is_here(store, one)? {
            missing.push(one);
        }
    }
    Ok(missing)
}

/// What is here in part only, since the machine lost its power, is not.
fn is_here(store: &Store, wanted: Wanted) -> Result<bool, Error> {
    let size = match wanted.size {
        Some(size) => size,
        None => match store.get(&wanted.digest) {
            Err(StoreError::Missing { .. }) => return Ok(false),
            blob => match size_if_whole(blob.map_err(broken)?, wanted.digest)? {
                Some(size) => size,
                None => return Ok(false),
            },
        },
    };
    store.touch(&wanted.digest, size).map_err(broken)
}

/// How many bytes contents have; nothing if they are damaged.
fn size_if_whole(mut blob: Blob, digest: Digest) -> Result<Option<u64>, Error> {
    let mut whole = blake3::Hasher::new();
    let size = io::copy(&mut blob, &mut whole)?;
    Ok((Digest::from(whole.finalize()) == digest).then_some(size))
}

/// Pieces as they come, read as one. Ends with a piece without bytes; without one it was cut off, and
/// is nothing.
struct Pieces {
    coming: mpsc::Receiver<Bytes>,
    at_hand: Bytes,
    has_ended: bool,
}

impl Pieces {
    fn new(coming: mpsc::Receiver<Bytes>) -> Self {
        Self {
            coming,
            at_hand: Bytes::new(),
            has_ended: false,
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at_hand.is_empty() && !self.has_ended {
            let piece = self.coming.blocking_recv();
            self.at_hand = piece.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.has_ended = self.at_hand.is_empty();
        }
        let length = buffer.len().min(self.at_hand.len());
        buffer[..length].copy_from_slice(&self.at_hand.split_to(length));
        Ok(length)
    }
}

fn lost(digest: Digest) -> Error {
    Error::Lost {
        reason: "CONTENTS_MISSING",
        message: format!("the object store has no {digest}, which is needed"),
    }
}

pub(super) fn damaged(digest: Digest) -> Error {
    Error::Lost {
        reason: "CONTENTS_DAMAGED",
        message: format!("what the object store has of {digest} is damaged"),
    }
}

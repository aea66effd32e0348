//! Files and archives on their way out, piece by piece, as fast as they are taken.

use std::{
    io::{self, Write},
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use futures::{Stream, stream::try_unfold};
use membrane_files::{
    TreePath,
    root::{self, Entry, Etag, Reader},
};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;

use super::{Files, export_limits};
use crate::{error::Error, id::WorkspaceId, uploads::blocking};

/// Largest piece in bytes.
pub const CHUNK: usize = 256 << 10;
/// Pieces of an archive that wait to be taken.
const WAITING: usize = 4;

/// Pieces, and an error at most as the last one.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// A file that has been opened.
#[derive(Debug, Clone)]
pub struct Download {
    reader: Arc<Reader>,
}

impl Files {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::StaleEtag`] when it does not have this etag, NOT_A_FILE.
    pub async fn open(
        &self,
        id: WorkspaceId,
        path: TreePath,
        etag: Option<Etag>,
    ) -> Result<Download, Error> {
        let open = move |root: &root::Root| {
            let reader = root.read(&path)?;
            match etag {
                Some(etag) if etag != reader.entry.etag => Err(root::Error::Stale),
                _ => Ok(reader),
            }
        };
        let reader = Arc::new(self.read(id, open).await?);
        Ok(Download { reader })
    }

    /// Makes a zip archive of a directory. An error in the middle ends it; so does dropping it.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when too many are made at the same time.
    pub fn export(&self, id: WorkspaceId, path: TreePath) -> Result<Chunks, Error> {
        let files = self.clone();
        self.archive(move |out| {
            let root = files.root(id)?;
            root.export(&path, out, &export_limits())?;
            Ok(())
        })
    }

    /// Makes an archive with `write`. An error in the middle ends it; so does dropping it.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when too many are made at the same time.
    pub fn archive(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Error> + Send + 'static,
    ) -> Result<Chunks, Error> {
        let Ok(turn) = self.exports.clone().try_acquire_owned() else {
            return Err(Error::Exhausted {
                reason: "EXPORTS",
                message: "too many archives are being made just now; try again".to_owned(),
            });
        };
        let (sender, receiver) = mpsc::channel(WAITING);
        spawn_blocking(move || {
            if let Err(error) = write(&mut Pieces::new(sender.clone())) {
                // Nobody is told when nobody is there.
                let _ = sender.blocking_send(Err(error));
            }
            drop(turn);
        });
        Ok(Box::pin(ReceiverStream::new(receiver)))
    }
}

impl Download {
    /// What was opened.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.reader.entry
    }

    /// At most `length` bytes from `offset` on, for a look at what it is.
    ///
    /// # Errors
    /// [`Error::StaleEtag`] when the file has changed since.
    pub async fn piece(&self, offset: u64, length: usize) -> Result<Bytes, Error> {
        let reader = self.reader.clone();
        blocking(move || Ok(Bytes::from(reader.read_at(offset, length)?))).await
    }

    /// The bytes from `offset` on, at most `length`. No thread waits for a slow reader.
    #[must_use]
    pub fn chunks(self, offset: u64, length: u64) -> Chunks {
        let end = offset.saturating_add(length).min(self.entry().size);
        Box::pin(try_unfold(
            (self, offset),
            move |(download, at)| async move {
                let left = end.saturating_sub(at).min(CHUNK as u64);
                if left == 0 {
                    return Ok(None);
                }
                let piece = download
                    .piece(at, usize::try_from(left).unwrap_or(CHUNK))
                    .await?;
                if piece.is_empty() {
                    return Err(Error::StaleEtag);
                }
                let next = at + piece.len() as u64;
                Ok(Some((piece, (download, next))))
            },
        ))
    }
}

/// Collects what is written into pieces, and waits for each to be taken.
struct Pieces {
    sender: mpsc::Sender<Result<Bytes, Error>>,
    buffer: Vec<u8>,
}

impl Pieces {
    fn new(sender: mpsc::Sender<Result<Bytes, Error>>) -> Self {
        Self {
            sender,
            buffer: Vec::with_capacity(CHUNK),
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK - self.buffer.len();
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.sender
            .blocking_send(Ok(piece.into()))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

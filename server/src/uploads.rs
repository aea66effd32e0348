//! An archive on its way in: written to a temporary file off the async threads, and counted.

use std::{fs::File, io::Write as _};

use bytes::Bytes;
use membrane_files::{Limits, Summary};
use tokio::task::spawn_blocking;

use crate::{
    error::Error,
    id::WorkspaceId,
    server::App,
    workspaces::{NewWorkspace, Upload},
};

/// Largest chunk of an upload in bytes.
const MAX_CHUNK: usize = 1 << 20;

/// An upload that has begun. Dropping it removes what has arrived.
#[derive(Debug)]
pub struct Receiving {
    upload: Upload,
    size: u64,
    limit: u64,
}

impl Receiving {
    /// Begins an upload.
    ///
    /// # Errors
    /// The file system's own.
    pub fn begin(app: &App) -> Result<Self, Error> {
        Self::begin_up_to(app, Limits::default().max_archive_bytes)
    }

    /// The same, of at most so many bytes.
    ///
    /// # Errors
    /// The file system's own.
    pub fn begin_up_to(app: &App, limit: u64) -> Result<Self, Error> {
        Ok(Self {
            upload: app.places.upload()?,
            size: 0,
            limit,
        })
    }

    /// What has arrived, in a file that is read from its beginning.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.upload.file
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an overlong chunk, [`Error::Exhausted`] beyond the largest archive.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        if chunk.len() > MAX_CHUNK {
            return Err(Error::invalid("chunk", "must have at most 1 MiB"));
        }
        self.size += chunk.len() as u64;
        if self.size > self.limit {
            return Err(Error::Exhausted {
                reason: "ARCHIVE_TOO_LARGE",
                message: format!("an archive can have at most {} bytes", self.limit),
            });
        }
        let mut file = self.upload.file.try_clone()?;
        blocking(move || Ok(file.write_all(&chunk)?)).await
    }
}

impl App {
    /// Makes a workspace of what was received.
    ///
    /// # Errors
    /// The archive's own reason; then nothing of the workspace is left.
    pub async fn import_workspace(
        &self,
        new: NewWorkspace,
        received: Receiving,
    ) -> Result<(WorkspaceId, Summary), Error> {
        if let Some(earlier) = self.database.earlier_request(new.key()).await? {
            return Ok((WorkspaceId(earlier), Summary::default()));
        }
        let id = WorkspaceId::new();
        let places = self.places.clone();
        let summary =
            blocking(move || places.import_archive(id, &received.upload.file, &Limits::default()))
                .await?;
        let stored = self.insert_workspace(id, &new).await?;
        Ok((stored, summary))
    }
}

/// Runs file work off the async threads.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work)
        .await
        .map_err(|_| Error::Internal("file work was cut off".to_owned()))?
}

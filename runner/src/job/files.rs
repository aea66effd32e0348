//! The files of a run: fetched as a zip archive, and sent back as one.

use std::{
    fs::File,
    io::{self, Seek as _, Write as _},
};

use cap_std::{ambient_authority, fs::Dir};
use membrane_files::{ArchiveError, Limits, export_zip, import_zip};
use membrane_proto::v1::{UploadRunResultRequest, upload_run_result_request::Part};
use tokio::{
    io::{AsyncReadExt as _, BufReader},
    sync::mpsc,
    task::spawn_blocking,
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

use super::Job;
use crate::control::{Failure, persist};

/// Largest piece that the server takes, in bytes.
const PIECE: usize = 1 << 20;
const WAITING: usize = 2;

impl Job {
    /// Fetches the files that the run begins with.
    pub(super) async fn fetch(&self) -> Result<(), Failure> {
        let archive = persist(|| self.download()).await?;
        let files = self.directory.place().files;
        let unpacked = blocking(move || {
            let directory = Dir::open_ambient_dir(files, ambient_authority())?;
            import_zip(archive, &directory, &limits()).map_err(whole)
        });
        unpacked.await.map(drop)
    }

    async fn download(&self) -> Result<File, Failure> {
        let mut archive = self.directory.create("base.zip").map_err(unusable)?;
        let mut pieces = self.context.control.download(&self.lease).await?;
        while let Some(piece) = pieces.next().await {
            archive.write_all(&piece?.chunk).map_err(unusable)?;
        }
        archive.rewind().map_err(unusable)?;
        Ok(archive)
    }

    /// Sends the files as they are now.
    pub(super) async fn send(&self) -> Result<(), Failure> {
        let files = self.directory.place().files;
        let archive = self.directory.create("result.zip").map_err(unusable)?;
        let archive = blocking(move || {
            let directory = Dir::open_ambient_dir(files, ambient_authority())?;
            export_zip(&directory, io::BufWriter::new(&archive), &limits()).map_err(whole)?;
            Ok(archive)
        });
        let archive = archive.await?;
        persist(|| self.upload(&archive)).await
    }

    async fn upload(&self, archive: &File) -> Result<(), Failure> {
        let mut archive = archive.try_clone().map_err(unusable)?;
        archive.rewind().map_err(unusable)?;
        let (parts, receiver) = mpsc::channel(WAITING);
        let lease = Part::Lease(self.lease.clone());
        let reading = async move {
            let mut reader = BufReader::new(tokio::fs::File::from_std(archive));
            let mut next = Some(lease);
            while let Some(part) = next {
                let part = UploadRunResultRequest { part: Some(part) };
                if parts.send(part).await.is_err() {
                    // The call has ended, and says why.
                    return Ok(());
                }
                let mut piece = Vec::with_capacity(PIECE);
                (&mut reader)
                    .take(PIECE as u64)
                    .read_to_end(&mut piece)
                    .await?;
                next = (!piece.is_empty()).then(|| Part::Chunk(piece.into()));
            }
            io::Result::Ok(())
        };
        let sending = self.context.control.upload(ReceiverStream::new(receiver));
        let (read, sent) = tokio::join!(reading, sending);
        read.map_err(unusable)?;
        sent
    }
}

/// The server's: what it sends must fit, and what it would not take is found out here.
fn limits() -> Limits {
    Limits {
        refuse_twins: false,
        ..Limits::default()
    }
}

fn whole(error: ArchiveError) -> io::Error {
    io::Error::other(error.to_string())
}

fn unusable(error: io::Error) -> Failure {
    Failure::Refused(format!("the runner can't use its files: {error}"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match spawn_blocking(work).await {
        Ok(worked) => worked.map_err(unusable),
        Err(_) => Err(Failure::Refused("the runner failed".to_owned())),
    }
}

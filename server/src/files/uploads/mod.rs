//! Uploads that take effect when they are finished, and can be resumed until then.

use std::fs;

use bytes::Bytes;
use membrane_files::{
    Limits, Summary, TreePath,
    root::{Amount, Condition, Entry},
};
use uuid::Uuid;

use super::{Files, exhausted};
use crate::{
    clock::Millis,
    db::{Database, RequestKey},
    error::Error,
    id::WorkspaceId,
    uploads::blocking,
};

mod desk;

use desk::Desk;

/// How long an upload may take, in milliseconds.
const LIFETIME: Millis = 24 * 3_600_000;
/// Unfinished uploads of one workspace.
const MAX_OPEN: usize = 1_000;
/// Largest piece in bytes.
const MAX_PIECE: usize = 1 << 20;

/// An upload to begin.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// Where to.
    pub path: TreePath,
    /// Size of the whole in bytes.
    pub size: u64,
    /// Whether a file may be replaced.
    pub overwrite: bool,
    /// Whether it is an archive to unpack.
    pub unpack: bool,
}

/// An upload on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its name.
    pub id: Uuid,
    /// Where to, in the spelling of paths.
    pub path: String,
    /// Size of the whole in bytes.
    pub size: u64,
    /// How much has arrived, in bytes.
    pub received: u64,
    /// When it is given up.
    pub expire_time: Millis,
}

/// What became of a finished upload.
#[derive(Debug)]
pub struct Finished {
    /// The file, or the directory into which an archive was unpacked.
    pub entry: Entry,
    /// What was written.
    pub summary: Summary,
}

impl Files {
    /// Begins an upload. A repeated request answers the one that the first began.
    ///
    /// # Errors
    /// UPLOADS for too many, a quota, ARCHIVE_TOO_LARGE; what would keep it from being finished.
    pub async fn create_upload(
        &self,
        database: &Database,
        id: WorkspaceId,
        new: NewUpload,
        key: RequestKey,
    ) -> Result<Upload, Error> {
        if let Some(earlier) = database.earlier_request(key).await? {
            return self.upload(id, earlier).await;
        }
        let files = self.clone();
        let made = blocking(move || files.begin(id, &new)).await?;
        let now = self.clock.now();
        let valid = database.remember_request(key, made.id, now).await;
        match valid {
            Ok(valid) if valid == made.id => Ok(made),
            other => {
                self.cancel_upload(id, made.id).await?;
                self.upload(id, other?).await
            }
        }
    }

    /// How far an upload came.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for one that has expired.
    pub async fn upload(&self, id: WorkspaceId, upload: Uuid) -> Result<Upload, Error> {
        let files = self.clone();
        blocking(move || files.desk(id).open(upload, files.clock.now())?.upload()).await
    }

    /// Adds bytes. What has arrived before is passed over.
    ///
    /// # Errors
    /// [`Error::NotFound`], UPLOAD_OFFSET, [`Error::Invalid`] for more than was announced.
    pub async fn write_upload(
        &self,
        id: WorkspaceId,
        upload: Uuid,
        offset: u64,
        bytes: Bytes,
    ) -> Result<Upload, Error> {
        if bytes.len() > MAX_PIECE {
            return Err(Error::invalid("data", "must have at most 1 MiB"));
        }
        let files = self.clone();
        blocking(move || {
            let open = files.desk(id).open(upload, files.clock.now())?;
            open.add(offset, &bytes)?;
            open.upload()
        })
        .await
    }

    /// Puts a complete upload in its place.
    ///
    /// # Errors
    /// [`Error::NotFound`], UPLOAD_INCOMPLETE, and whatever writing or unpacking answers; the
    /// upload is then still there.
    pub async fn finish_upload(&self, id: WorkspaceId, upload: Uuid) -> Result<Finished, Error> {
        let files = self.clone();
        blocking(move || {
            let usage = files.usage(id);
            let _part = usage.in_part();
            let root = files.measured(id)?;
            let desk = files.desk(id);
            let open = desk.open(upload, files.clock.now())?;
            let finished = open.finish(&root, &desk)?;
            desk.remove(upload)?;
            if open.note.unpack {
                files.release(id, Amount::file(open.note.size));
            }
            Ok(finished)
        })
        .await
    }

    /// Gives an upload up; one that is not there is no error.
    ///
    /// # Errors
    /// The file system's own.
    pub async fn cancel_upload(&self, id: WorkspaceId, upload: Uuid) -> Result<(), Error> {
        let files = self.clone();
        blocking(move || files.drop_upload(id, upload)).await
    }

    /// What unfinished uploads will take.
    pub(super) fn announced(&self, id: WorkspaceId) -> Result<Amount, Error> {
        let notes = self.desk(id).notes()?;
        let sizes = notes.iter().map(|(_, note)| Amount::file(note.size));
        Ok(sizes.fold(Amount::default(), Amount::plus))
    }

    /// Removes what has expired, and what has lost its other half.
    pub(super) fn sweep_uploads(&self, id: WorkspaceId) -> Result<(), Error> {
        let desk = self.desk(id);
        let notes = desk.notes()?;
        for (upload, note) in &notes {
            if note.is_over(self.clock.now()) || !desk.part(*upload).exists() {
                self.drop_upload(id, *upload)?;
            }
        }
        for name in desk.names()? {
            let stem = name.split('.').next().unwrap_or_default();
            if !notes.iter().any(|(upload, _)| upload.to_string() == stem) {
                fs::remove_file(desk.directory.join(name))?;
            }
        }
        Ok(())
    }

    fn begin(&self, id: WorkspaceId, new: &NewUpload) -> Result<Upload, Error> {
        let root = self.measured(id)?;
        let limit = Limits::default().max_archive_bytes;
        if new.unpack && new.size > limit {
            let message = format!("an archive can have at most {limit} bytes");
            return Err(exhausted("ARCHIVE_TOO_LARGE", message));
        }
        if !new.unpack {
            root.check_place(&new.path, &condition(new.overwrite))?;
        }
        let desk = self.desk(id);
        self.drop_expired(id, &desk)?;
        if desk.notes()?.len() >= MAX_OPEN {
            let message = format!("a workspace can have at most {MAX_OPEN} unfinished uploads");
            return Err(exhausted("UPLOADS", message));
        }
        root.reserve(Amount::file(new.size))?;
        let made = desk.make(new, self.clock.now());
        if made.is_err() {
            self.release(id, Amount::file(new.size));
        }
        made
    }

    fn drop_expired(&self, id: WorkspaceId, desk: &Desk) -> Result<(), Error> {
        for (upload, note) in desk.notes()? {
            if note.is_over(self.clock.now()) {
                self.drop_upload(id, upload)?;
            }
        }
        Ok(())
    }

    fn drop_upload(&self, id: WorkspaceId, upload: Uuid) -> Result<(), Error> {
        let desk = self.desk(id);
        let Some(note) = desk.note(upload)? else {
            return Ok(());
        };
        if desk.remove(upload)? {
            self.release(id, Amount::file(note.size));
        }
        Ok(())
    }

    fn desk(&self, id: WorkspaceId) -> Desk {
        Desk {
            directory: self.places.uploads(id),
        }
    }
}

fn condition(overwrite: bool) -> Condition {
    if overwrite {
        Condition::None
    } else {
        Condition::Absent
    }
}

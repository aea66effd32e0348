//! Uploads that take effect when they are finished: a partial file in `<workspace>/uploads`, which
//! no sandbox sees, and a note beside it. Both survive a restart of the server.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use cap_std::{ambient_authority, fs::Dir};
use membrane_files::{
    Limits, Summary, TreePath,
    root::{Amount, Condition, Entry, Root},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Files, exhausted, parse_path, precondition};
use crate::{
    clock::Millis,
    db::{Database, RequestKey},
    error::Error,
    id::WorkspaceId,
    uploads::blocking,
};

/// How long an upload may take, in milliseconds.
const LIFETIME: Millis = 24 * 3_600_000;
/// Unfinished uploads of one workspace.
const MAX_OPEN: usize = 1_000;
/// Largest piece in bytes.
const MAX_PIECE: usize = 1 << 20;
/// Ending of the notes' names.
const NOTE: &str = "json";

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

/// What is written down about an upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    path: String,
    size: u64,
    overwrite: bool,
    unpack: bool,
    create_time: Millis,
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

impl Note {
    fn is_over(&self, now: Millis) -> bool {
        self.create_time + LIFETIME <= now
    }
}

/// The directory of a workspace's uploads.
struct Desk {
    directory: PathBuf,
}

impl Desk {
    fn part(&self, id: Uuid) -> PathBuf {
        self.directory.join(id.to_string())
    }

    fn note_path(&self, id: Uuid) -> PathBuf {
        self.part(id).with_extension(NOTE)
    }

    fn make(&self, new: &NewUpload, now: Millis) -> Result<Upload, Error> {
        match fs::create_dir(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let id = Uuid::now_v7();
        let note = Note {
            path: new.path.to_string(),
            size: new.size,
            overwrite: new.overwrite,
            unpack: new.unpack,
            create_time: now,
        };
        let text = serde_json::to_vec(&note)
            .map_err(|error| Error::Internal(format!("an upload can't be noted: {error}")))?;
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.part(id))?;
        let unfinished = self.part(id).with_extension("new");
        fs::write(&unfinished, text)?;
        fs::rename(unfinished, self.note_path(id))?;
        Open { id, note, file }.upload()
    }

    fn open(&self, id: Uuid, now: Millis) -> Result<Open, Error> {
        let gone = || Error::NotFound("upload");
        let file = File::options().read(true).write(true).open(self.part(id));
        let file = file.map_err(|error| missing(error, gone))?;
        file.lock()?;
        // Looked at under the lock: somebody may have finished it meanwhile.
        let note = self.note(id)?.filter(|note| !note.is_over(now));
        let note = note.ok_or_else(gone)?;
        Ok(Open { id, note, file })
    }

    fn note(&self, id: Uuid) -> Result<Option<Note>, Error> {
        match fs::read(self.note_path(id)) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn notes(&self) -> Result<Vec<(Uuid, Note)>, Error> {
        let mut notes = Vec::new();
        for name in self.names()? {
            let path = Path::new(&name);
            let is_note = path.extension().is_some_and(|ending| ending == NOTE);
            let id = path.file_stem().and_then(|stem| stem.to_str());
            let Some(Ok(id)) = id.filter(|_| is_note).map(Uuid::try_parse) else {
                continue;
            };
            notes.extend(self.note(id)?.map(|note| (id, note)));
        }
        Ok(notes)
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    /// Removes both halves. Answers whether this call was the one that did.
    fn remove(&self, id: Uuid) -> Result<bool, Error> {
        let noted = fs::remove_file(self.note_path(id));
        match fs::remove_file(self.part(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        match noted {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            noted => Ok(noted.map(|()| true)?),
        }
    }
}

/// An upload that nobody else works on as long as this lives.
struct Open {
    id: Uuid,
    note: Note,
    file: File,
}

impl Open {
    fn upload(&self) -> Result<Upload, Error> {
        Ok(Upload {
            id: self.id,
            path: self.note.path.clone(),
            size: self.note.size,
            received: self.file.metadata()?.len(),
            expire_time: self.note.create_time + LIFETIME,
        })
    }

    fn add(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let received = self.file.metadata()?.len();
        if offset > received {
            let message = format!("{received} bytes have been received; go on there");
            return Err(precondition("UPLOAD_OFFSET", message));
        }
        if offset.saturating_add(bytes.len() as u64) > self.note.size {
            return Err(Error::invalid("data", "is more than was announced"));
        }
        let known = usize::try_from(received - offset).unwrap_or(usize::MAX);
        let Some(new) = bytes.get(known..).filter(|new| !new.is_empty()) else {
            return Ok(());
        };
        self.file.write_all_at(new, received).map_err(|error| {
            // What is there of the piece is sent again.
            let _ = self.file.set_len(received);
            membrane_files::root::Error::from(error).into()
        })
    }

    fn finish(&self, root: &Root, desk: &Desk) -> Result<Finished, Error> {
        let received = self.file.metadata()?.len();
        if received != self.note.size {
            let message = format!("{received} of {} bytes have been received", self.note.size);
            return Err(precondition("UPLOAD_INCOMPLETE", message));
        }
        let path = parse_path("path", &self.note.path)?;
        if self.note.unpack {
            let (entry, summary) = root.unpack(&self.file, &path, &Limits::default())?;
            return Ok(Finished { entry, summary });
        }
        let from = Dir::open_ambient_dir(&desk.directory, ambient_authority())?;
        let name = self.id.to_string();
        let condition = condition(self.note.overwrite);
        let entry = root.put_file(&from, name.as_ref(), &path, &condition)?;
        let summary = Summary {
            files: 1,
            total_bytes: received,
            ..Summary::default()
        };
        Ok(Finished { entry, summary })
    }
}

fn condition(overwrite: bool) -> Condition {
    if overwrite {
        Condition::None
    } else {
        Condition::Absent
    }
}

fn missing(error: io::Error, gone: impl FnOnce() -> Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => gone(),
        _ => error.into(),
    }
}

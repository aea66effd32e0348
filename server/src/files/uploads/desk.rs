//! Where uploads lie: a partial file in `<workspace>/uploads`, which no sandbox sees, and a note
//! beside it. Both survive a restart of the server.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use cap_std::{ambient_authority, fs::Dir};
use membrane_files::{Limits, Summary, root::Root};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Finished, LIFETIME, NewUpload, Upload, condition};
use crate::{
    clock::Millis,
    error::Error,
    files::{parse_path, precondition},
};

/// Ending of the notes' names.
const NOTE: &str = "json";

/// What is written down about an upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    path: String,
    pub(super) size: u64,
    overwrite: bool,
    pub(super) unpack: bool,
    create_time: Millis,
}

impl Note {
    pub(super) fn is_over(&self, now: Millis) -> bool {
        self.create_time + LIFETIME <= now
    }
}

/// The directory of a workspace's uploads.
pub(super) struct Desk {
    pub(super) directory: PathBuf,
}

impl Desk {
    pub(super) fn part(&self, id: Uuid) -> PathBuf {
        self.directory.join(id.to_string())
    }

    fn note_path(&self, id: Uuid) -> PathBuf {
        self.part(id).with_extension(NOTE)
    }

    pub(super) fn make(&self, new: &NewUpload, now: Millis) -> Result<Upload, Error> {
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

    pub(super) fn open(&self, id: Uuid, now: Millis) -> Result<Open, Error> {
        let gone = || Error::NotFound("upload");
        let file = File::options().read(true).write(true).open(self.part(id));
        let file = file.map_err(|error| missing(error, gone))?;
        file.lock()?;
        // Looked at under the lock: somebody may have finished it meanwhile.
        let note = self.note(id)?.filter(|note| !note.is_over(now));
        let note = note.ok_or_else(gone)?;
        Ok(Open { id, note, file })
    }

    pub(super) fn note(&self, id: Uuid) -> Result<Option<Note>, Error> {
        match fs::read(self.note_path(id)) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn notes(&self) -> Result<Vec<(Uuid, Note)>, Error> {
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

    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    /// Removes both halves. Answers whether this call was the one that did.
    pub(super) fn remove(&self, id: Uuid) -> Result<bool, Error> {
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
pub(super) struct Open {
    id: Uuid,
    pub(super) note: Note,
    file: File,
}

impl Open {
    pub(super) fn upload(&self) -> Result<Upload, Error> {
        Ok(Upload {
            id: self.id,
            path: self.note.path.clone(),
            size: self.note.size,
            received: self.file.metadata()?.len(),
            expire_time: self.note.create_time + LIFETIME,
        })
    }

    pub(super) fn add(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
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

    pub(super) fn finish(&self, root: &Root, desk: &Desk) -> Result<Finished, Error> {
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

fn missing(error: io::Error, gone: impl FnOnce() -> Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => gone(),
        _ => error.into(),
    }
}

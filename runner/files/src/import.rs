//! Importing a zip archive, on all cores: the structure is read first, then small files are inflated
//! on several threads while the archive is read on.

use crate::archive::{self, Contents, Inflater, Kind, Record, Source};
use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::link;
use crate::ordered::Ordered;
use crate::staging::Staging;
use crate::summary::{DroppedKind, Summary};
use cap_std::fs::Dir;
use std::io::{self, Cursor, Read, Seek};
use std::thread;

/// Data of files that is at most so many bytes is handed to other threads.
const SMALL_BYTES: u64 = 256 << 10;
/// So many of them for each thread.
const PIECES: usize = 8;

/// Unpacks a zip archive into an empty directory: the whole archive, or nothing of it.
///
/// Files get mode 0755 if their owner could execute them and 0644 otherwise, less the process's
/// umask; times are not kept. Devices, named pipes, sockets and setuid, setgid and sticky bits are
/// dropped and listed. Everything else that a tree may not contain refuses the archive.
///
/// The caller must not start two imports into one destination; the second is refused. After a
/// crash, [`crate::recover`] must see the destination before it is used.
///
/// # Errors
/// One [`ArchiveError`] for each rule; the destination is then as it was before.
pub fn import_zip(
    archive: impl Read + Seek,
    destination: &Dir,
    limits: &Limits,
) -> Result<Summary, ArchiveError> {
    let mut source = Source::open(archive, limits)?;
    let contents = archive::read(&mut source, limits)?;
    let staging = Staging::begin(destination)?;
    let summary = unpack(&contents, &mut source, &staging, limits)?;
    staging.commit()?;
    Ok(summary)
}

fn unpack<R: Read + Seek>(
    contents: &Contents,
    source: &mut Source<R>,
    staging: &Staging<'_>,
    limits: &Limits,
) -> Result<Summary, ArchiveError> {
    let mut summary = Summary::default();
    for path in contents.tree.directories() {
        staging.directory(&path)?;
        summary.directories += 1;
    }
    thread::scope(|scope| {
        let files = Ordered::start(scope, PIECES, || {
            let mut inflater = Inflater::new();
            move |mut file: Small<'_>| inflater.copy_file(&mut file.data, file.record, staging)
        });
        let mut unpacking = Unpacking {
            staging,
            inflater: Inflater::new(),
            files: files.map_err(ArchiveError::io("starting a thread"))?,
            links: Vec::new(),
            summary,
        };
        unpacking.entries(&contents.records, source, limits)?;
        for (path, target) in &unpacking.links {
            staging.symlink(path, target)?;
        }
        Ok(unpacking.summary)
    })
}

/// A file that is inflated on another thread, with its data.
struct Small<'a> {
    record: &'a Record,
    data: Source<Cursor<Vec<u8>>>,
}

struct Unpacking<'a> {
    staging: &'a Staging<'a>,
    inflater: Inflater,
    files: Ordered<Small<'a>, Result<(), ArchiveError>>,
    /// Path and target, to be made when there is nothing left to write.
    links: Vec<(&'a str, String)>,
    summary: Summary,
}

impl<'a> Unpacking<'a> {
    /// Unpacks all entries. Of several errors the one of the first entry is reported.
    fn entries<R: Read + Seek>(
        &mut self,
        records: &'a [Record],
        source: &mut Source<R>,
        limits: &Limits,
    ) -> Result<(), ArchiveError> {
        for record in records {
            self.files.make_room().unwrap_or(Ok(()))?;
            if let Err(error) = self.entry(record, source, limits) {
                self.finish_files()?;
                return Err(error);
            }
        }
        self.finish_files()
    }

    fn finish_files(&mut self) -> Result<(), ArchiveError> {
        while let Some(done) = self.files.next() {
            done?;
        }
        Ok(())
    }

    fn entry<R: Read + Seek>(
        &mut self,
        record: &'a Record,
        source: &mut Source<R>,
        limits: &Limits,
    ) -> Result<(), ArchiveError> {
        source.seek(record.data_offset)?;
        match record.kind {
            Kind::File { .. } => self.file(record, source)?,
            Kind::Symlink => self.link(record, source, limits)?,
            // What a directory or a dropped entry carries is verified all the same.
            Kind::Directory => self.inflater.copy(source, record, &mut io::sink())?,
            Kind::Dropped(kind) => {
                self.inflater.copy(source, record, &mut io::sink())?;
                self.summary.drop_entry(&record.path, kind);
                return Ok(());
            }
        }
        if record.had_special_bits {
            self.summary.drop_entry(&record.path, DroppedKind::ModeBits);
        }
        Ok(())
    }

    fn file<R: Read + Seek>(
        &mut self,
        record: &'a Record,
        source: &mut Source<R>,
    ) -> Result<(), ArchiveError> {
        self.summary.files += 1;
        self.summary.total_bytes += record.size;
        if record.compressed > SMALL_BYTES {
            return self.inflater.copy_file(source, record, self.staging);
        }
        let data = source.part(record.compressed)?;
        self.files.push(Small { record, data });
        Ok(())
    }

    fn link<R: Read + Seek>(
        &mut self,
        record: &'a Record,
        source: &mut Source<R>,
        limits: &Limits,
    ) -> Result<(), ArchiveError> {
        let mut target = Vec::new();
        self.inflater.copy(source, record, &mut target)?;
        let target = link::check(&record.path, &target, limits.max_target_bytes)?;
        self.links.push((&record.path, target.to_owned()));
        self.summary.symlinks += 1;
        Ok(())
    }
}

impl Inflater {
    fn copy_file<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        record: &Record,
        staging: &Staging<'_>,
    ) -> Result<(), ArchiveError> {
        let executable = matches!(record.kind, Kind::File { executable: true });
        let mut file = staging.file(&record.path, executable)?;
        self.copy(source, record, &mut file)
    }
}

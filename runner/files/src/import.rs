//! Importing a zip archive.

use crate::archive::{self, Contents, Inflater, Kind, Record, Source};
use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::link;
use crate::staging::Staging;
use crate::summary::{DroppedKind, Summary};
use cap_std::fs::Dir;
use std::io::{self, Read, Seek};

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
    let mut unpacking = Unpacking {
        staging,
        inflater: Inflater::new(),
        links: Vec::new(),
        summary: Summary::default(),
    };
    for path in contents.tree.directories() {
        staging.directory(&path)?;
        unpacking.summary.directories += 1;
    }
    for record in &contents.records {
        unpacking.entry(record, source, limits)?;
    }
    for (path, target) in &unpacking.links {
        staging.symlink(path, target)?;
    }
    Ok(unpacking.summary)
}

struct Unpacking<'a> {
    staging: &'a Staging<'a>,
    inflater: Inflater,
    /// Path and target, to be made when there is nothing left to write.
    links: Vec<(&'a str, String)>,
    summary: Summary,
}

impl<'a> Unpacking<'a> {
    fn entry<R: Read + Seek>(
        &mut self,
        record: &'a Record,
        source: &mut Source<R>,
        limits: &Limits,
    ) -> Result<(), ArchiveError> {
        match record.kind {
            Kind::File { executable } => self.file(record, executable, source)?,
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
        record: &Record,
        executable: bool,
        source: &mut Source<R>,
    ) -> Result<(), ArchiveError> {
        let mut file = self.staging.file(&record.path, executable)?;
        self.inflater.copy(source, record, &mut file)?;
        self.summary.files += 1;
        self.summary.total_bytes += record.size;
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

//! Exporting a tree as a zip archive, on all cores: small files are packed in batches, each a small
//! archive of its own in memory, which are put together in the order of paths.

use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::ordered::Ordered;
use crate::store::{Manifest, Store};
use crate::summary::Summary;
use crate::walk::{Bounded, Visitor, walk, walk_manifest};
use cap_std::fs::Dir;
use std::io::{self, Cursor, Seek, Write};
use std::{mem, thread};
use zip::result::{ZipError, ZipResult};
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

const WRITING: &str = "writing the archive";
/// The fastest: archives are made to be sent once, and most of a tree is small text.
const LEVEL: i64 = 1;
/// Larger files are packed while they are read, outside of batches.
const SMALL_BYTES: u64 = 1 << 20;
/// A batch is complete with so many bytes of contents, or so many entries.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_ENTRIES: usize = 256;
/// So many of them for each thread.
const PIECES: usize = 3;

/// Writes a directory's tree as a zip archive, without seeking in it.
///
/// The archive has empty directories, executable bits and links within the tree, in the order of
/// paths and with one fixed time, so that equal trees give equal archives. Devices, named pipes,
/// sockets, setuid, setgid and sticky bits, links out of the tree and names that no archive may
/// carry are dropped and listed. [`crate::import_zip`] with the same limits accepts the result.
///
/// Needs up to 4 MB for each batch on its way, of which there are three a core, at most 24.
///
/// # Errors
/// When the tree breaks a limit or changes while it is read, or reading or writing fails; what was
/// written until then is not an archive.
pub fn export_zip(source: &Dir, out: impl Write, limits: &Limits) -> Result<Summary, ArchiveError> {
    export(out, limits, |export| walk(source, None, limits, export))
}

/// Writes what a manifest recorded and the store has, in the same way, in the order of the paths'
/// bytes.
///
/// # Errors
/// The same, and when the store lacks something.
pub fn export_manifest(
    store: &Store,
    manifest: &Manifest,
    out: impl Write,
    limits: &Limits,
) -> Result<Summary, ArchiveError> {
    export(out, limits, |export| {
        walk_manifest(store, manifest, limits, export)
    })
}

fn export<W: Write>(
    out: W,
    limits: &Limits,
    walk: impl FnOnce(&mut Export<W>) -> Result<Summary, ArchiveError>,
) -> Result<Summary, ArchiveError> {
    thread::scope(|scope| {
        let batches = Ordered::start(scope, PIECES, || pack).map_err(ArchiveError::io(WRITING))?;
        let mut export = Export {
            zip: ZipWriter::new_stream(out),
            large: limits.max_file_bytes > u64::from(u32::MAX),
            batch: Vec::new(),
            batch_bytes: 0,
            batches,
        };
        let summary = walk(&mut export)?;
        export.finish()?;
        Ok(summary)
    })
}

/// An entry of a batch.
struct Item {
    path: String,
    kind: Kind,
}

enum Kind {
    Directory,
    File { executable: bool, contents: Vec<u8> },
    Symlink { target: String },
}

type Packed = ZipResult<ZipArchive<Cursor<Vec<u8>>>>;

struct Export<W: Write> {
    zip: ZipWriter<StreamWriter<W>>,
    /// Whether a file may need zip64 sizes, which must be known before it is written.
    large: bool,
    batch: Vec<Item>,
    batch_bytes: usize,
    batches: Ordered<Vec<Item>, Packed>,
}

impl<W: Write> Visitor for Export<W> {
    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.add(path, Kind::Directory)
    }

    fn file(
        &mut self,
        path: &str,
        executable: bool,
        contents: &mut Bounded,
    ) -> Result<(), ArchiveError> {
        if contents.expected() > SMALL_BYTES {
            return self.large_file(path, executable, contents);
        }
        let mut bytes = Vec::new();
        contents.for_each(|piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        self.batch_bytes += bytes.len();
        let contents = bytes;
        self.add(
            path,
            Kind::File {
                executable,
                contents,
            },
        )
    }

    fn symlink(&mut self, path: &str, target: &str) -> Result<(), ArchiveError> {
        let target = target.to_owned();
        self.add(path, Kind::Symlink { target })
    }
}

impl<W: Write> Export<W> {
    fn add(&mut self, path: &str, kind: Kind) -> Result<(), ArchiveError> {
        let path = path.to_owned();
        self.batch.push(Item { path, kind });
        if self.batch_bytes < BATCH_BYTES && self.batch.len() < BATCH_ENTRIES {
            return Ok(());
        }
        self.send()
    }

    /// Hands the batch over, after writing the oldest one if there are enough on their way.
    fn send(&mut self) -> Result<(), ArchiveError> {
        self.batch_bytes = 0;
        if let Some(packed) = self.batches.make_room() {
            self.write(packed)?;
        }
        self.batches.push(mem::take(&mut self.batch));
        Ok(())
    }

    fn write(&mut self, packed: Packed) -> Result<(), ArchiveError> {
        let merged = packed.and_then(|packed| self.zip.merge_archive(packed));
        merged.map_err(writing)
    }

    /// Writes everything that was found until now.
    fn flush(&mut self) -> Result<(), ArchiveError> {
        if !self.batch.is_empty() {
            self.send()?;
        }
        while let Some(packed) = self.batches.next() {
            self.write(packed)?;
        }
        Ok(())
    }

    fn large_file(
        &mut self,
        path: &str,
        executable: bool,
        contents: &mut Bounded,
    ) -> Result<(), ArchiveError> {
        self.flush()?;
        let options = options(executable).large_file(self.large);
        self.zip.start_file(path, options).map_err(writing)?;
        contents.for_each(|piece| {
            let written = self.zip.write_all(piece);
            written.map_err(ArchiveError::io(WRITING))
        })
    }

    fn finish(mut self) -> Result<(), ArchiveError> {
        self.flush()?;
        let mut out = self.zip.finish().map_err(writing)?.into_inner();
        out.flush().map_err(ArchiveError::io(WRITING))
    }
}

/// Makes an archive of a batch.
fn pack(batch: Vec<Item>) -> Packed {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for Item { path, kind } in batch {
        pack_item(&mut zip, &path, kind)?;
    }
    zip.finish_into_readable()
}

fn pack_item<W: Write + Seek>(zip: &mut ZipWriter<W>, path: &str, kind: Kind) -> ZipResult<()> {
    match kind {
        Kind::Directory => zip.add_directory(path, options(true)),
        Kind::Symlink { target } => zip.add_symlink(path, target, options(true)),
        Kind::File {
            executable,
            contents,
        } => {
            zip.start_file(path, options(executable))?;
            Ok(zip.write_all(&contents)?)
        }
    }
}

fn options(executable: bool) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(if executable { 0o755 } else { 0o644 })
}

fn writing(error: ZipError) -> ArchiveError {
    ArchiveError::io(WRITING)(io::Error::from(error))
}

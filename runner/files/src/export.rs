//! Exporting a tree as a zip archive.

use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::summary::Summary;
use crate::walk::{Bounded, Visitor, walk};
use cap_std::fs::Dir;
use std::io::{self, Write};
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

const WRITING: &str = "writing the archive";

/// Writes a directory's tree as a zip archive, without seeking in it.
///
/// The archive has empty directories, executable bits and links within the tree, in the order of
/// paths and with one fixed time, so that equal trees give equal archives. Devices, named pipes,
/// sockets, setuid, setgid and sticky bits, links out of the tree and names that no archive may
/// carry are dropped and listed. [`crate::import_zip`] with the same limits accepts the result.
///
/// # Errors
/// When the tree breaks a limit or changes while it is read, or reading or writing fails; what was
/// written until then is not an archive.
pub fn export_zip(source: &Dir, out: impl Write, limits: &Limits) -> Result<Summary, ArchiveError> {
    let mut pack = Pack {
        zip: ZipWriter::new_stream(out),
        large: limits.max_file_bytes > u64::from(u32::MAX),
    };
    let summary = walk(source, None, limits, &mut pack)?;
    let mut out = pack.zip.finish().map_err(writing)?.into_inner();
    out.flush().map_err(ArchiveError::io(WRITING))?;
    Ok(summary)
}

struct Pack<W: Write> {
    zip: ZipWriter<StreamWriter<W>>,
    /// Whether a file may need zip64 sizes, which must be known before it is written.
    large: bool,
}

impl<W: Write> Visitor for Pack<W> {
    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.zip.add_directory(path, options(true)).map_err(writing)
    }

    fn file(
        &mut self,
        path: &str,
        executable: bool,
        contents: &mut Bounded<'_>,
    ) -> Result<(), ArchiveError> {
        self.zip
            .start_file(path, options(executable).large_file(self.large))
            .map_err(writing)?;
        contents.for_each(|bytes| self.zip.write_all(bytes).map_err(ArchiveError::io(WRITING)))
    }

    fn symlink(&mut self, path: &str, target: &str) -> Result<(), ArchiveError> {
        self.zip
            .add_symlink(path, target, options(true))
            .map_err(writing)
    }
}

fn options(executable: bool) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(if executable { 0o755 } else { 0o644 })
}

fn writing(error: ZipError) -> ArchiveError {
    ArchiveError::io(WRITING)(io::Error::from(error))
}

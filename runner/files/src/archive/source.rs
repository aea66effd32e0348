//! Positioned reading of the archive file, with a length that was measured once.

use crate::error::ArchiveError;
use crate::limits::Limits;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};

/// Bytes read ahead. Headers of neighbouring entries mostly come out of one read.
const READ_AHEAD: usize = 32 << 10;

/// The archive file.
#[derive(Debug)]
pub(crate) struct Source<R> {
    reader: BufReader<R>,
    position: u64,
    length: u64,
}

impl<R: Read + Seek> Source<R> {
    /// # Errors
    /// [`ArchiveError::ArchiveTooLarge`], or when the file cannot be measured.
    pub(crate) fn open(mut reader: R, limits: &Limits) -> Result<Self, ArchiveError> {
        let length = reader.seek(SeekFrom::End(0)).map_err(reading)?;
        let limit = limits.max_archive_bytes.min(i64::MAX.unsigned_abs());
        if length > limit {
            return Err(ArchiveError::ArchiveTooLarge {
                bytes: length,
                limit,
            });
        }
        reader.seek(SeekFrom::Start(0)).map_err(reading)?;
        let reader = BufReader::with_capacity(READ_AHEAD, reader);
        Ok(Self {
            reader,
            position: 0,
            length,
        })
    }

    /// `bytes` of the archive from where it stands, as a source of their own.
    ///
    /// # Errors
    /// [`ArchiveError::Truncated`] at the end of the file.
    pub(crate) fn part(&mut self, bytes: u64) -> Result<Source<Cursor<Vec<u8>>>, ArchiveError> {
        let length = usize::try_from(bytes).map_err(|_| ArchiveError::Truncated)?;
        let mut part = vec![0; length];
        self.fill(&mut part)?;
        Ok(Source {
            // What is in memory needs no buffer.
            reader: BufReader::with_capacity(0, Cursor::new(part)),
            position: 0,
            length: bytes,
        })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Moves to `offset`, keeping what was read ahead where possible.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), ArchiveError> {
        let offset = offset.min(self.length);
        // Both are at most the length, which fits.
        let distance = offset as i64 - self.position as i64;
        self.reader.seek_relative(distance).map_err(reading)?;
        self.position = offset;
        Ok(())
    }

    /// Fills the buffer from the current position.
    ///
    /// # Errors
    /// [`ArchiveError::Truncated`] at the end of the file.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ArchiveError> {
        self.reader
            .read_exact(buffer)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ArchiveError::Truncated,
                _ => reading(error),
            })?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    /// Reads a fixed number of bytes from the current position.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ArchiveError> {
        let mut buffer = [0; N];
        self.fill(&mut buffer)?;
        Ok(buffer)
    }
}

fn reading(source: io::Error) -> ArchiveError {
    ArchiveError::Io {
        doing: "reading the archive",
        source,
    }
}

/// A little-endian field of a fixed record. `at` is a constant within the record's length.
pub(crate) fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

/// See [`u16_at`].
pub(crate) fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from(u16_at(record, at)) | u32::from(u16_at(record, at + 2)) << 16
}

/// See [`u16_at`].
pub(crate) fn u64_at(record: &[u8], at: usize) -> u64 {
    u64::from(u32_at(record, at)) | u64::from(u32_at(record, at + 4)) << 32
}

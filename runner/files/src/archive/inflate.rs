//! The data of entries: counted while it is inflated, and never more of it than was declared.

use super::central::Record;
use super::source::Source;
use crate::error::{ArchiveError, EntryName};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::io::{Read, Seek, Write};

const BUFFER_BYTES: usize = 32 << 10;

/// Buffers and the decompressor, reused from entry to entry.
pub(crate) struct Inflater {
    decompress: Decompress,
    input: Box<[u8]>,
    output: Box<[u8]>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            decompress: Decompress::new(false),
            input: vec![0; BUFFER_BYTES].into(),
            output: vec![0; BUFFER_BYTES].into(),
        }
    }

    /// Writes the data of `record`, at whose beginning the source stands, to `out`. At most `record.size` bytes are written, and at most
    /// one buffer more is inflated.
    ///
    /// # Errors
    /// When length or checksum are not as declared, or reading or writing fails.
    pub(crate) fn copy<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        record: &Record,
        out: &mut impl Write,
    ) -> Result<(), ArchiveError> {
        let mut sink = Sink {
            record,
            out,
            crc: Crc::new(),
            written: 0,
        };
        match record.deflated {
            true => self.inflate(source, record, &mut sink)?,
            false => self.store(source, record, &mut sink)?,
        }
        sink.finish()
    }

    fn store<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        record: &Record,
        sink: &mut Sink<'_, impl Write>,
    ) -> Result<(), ArchiveError> {
        let mut left = record.compressed;
        while left > 0 {
            let chunk = chunk(&mut self.input, left);
            source.fill(chunk)?;
            sink.write(chunk)?;
            left -= chunk.len() as u64;
        }
        Ok(())
    }

    fn inflate<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        record: &Record,
        sink: &mut Sink<'_, impl Write>,
    ) -> Result<(), ArchiveError> {
        let bad = || ArchiveError::BadData {
            entry: EntryName::new(&record.path),
        };
        self.decompress.reset(false);
        let mut left = record.compressed;
        let mut ended = false;
        while !ended {
            if left == 0 {
                return Err(bad());
            }
            let chunk = chunk(&mut self.input, left);
            source.fill(chunk)?;
            left -= chunk.len() as u64;
            let mut pending = &*chunk;
            // Output may still be held back when all input has been taken, until a call adds none.
            loop {
                let before = (self.decompress.total_in(), self.decompress.total_out());
                let status = self
                    .decompress
                    .decompress(pending, &mut self.output, FlushDecompress::None)
                    .map_err(|_| bad())?;
                let taken = (self.decompress.total_in() - before.0) as usize;
                let made = (self.decompress.total_out() - before.1) as usize;
                sink.write(&self.output[..made])?;
                pending = &pending[taken..];
                ended = status == Status::StreamEnd;
                if ended || (taken == 0 && made == 0) {
                    break;
                }
            }
            if ended && (left > 0 || !pending.is_empty()) {
                let entry = EntryName::new(&record.path);
                return Err(ArchiveError::SizeMismatch { entry });
            }
        }
        Ok(())
    }
}

fn chunk(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
    &mut buffer[..length]
}

/// Counts and sums what is written.
struct Sink<'a, W> {
    record: &'a Record,
    out: &'a mut W,
    crc: Crc,
    written: u64,
}

impl<W: Write> Sink<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.written += bytes.len() as u64;
        if self.written > self.record.size {
            return Err(self.wrong_size());
        }
        self.crc.update(bytes);
        self.out
            .write_all(bytes)
            .map_err(ArchiveError::io("writing a file"))
    }

    fn finish(self) -> Result<(), ArchiveError> {
        if self.written != self.record.size {
            return Err(self.wrong_size());
        }
        if self.crc.sum() != self.record.crc32 {
            let entry = EntryName::new(&self.record.path);
            return Err(ArchiveError::BadChecksum { entry });
        }
        Ok(())
    }

    fn wrong_size(&self) -> ArchiveError {
        ArchiveError::SizeMismatch {
            entry: EntryName::new(&self.record.path),
        }
    }
}

//! The end records: where the directory is and how many entries it has.

use super::source::{Source, u16_at, u32_at, u64_at};
use crate::error::ArchiveError;
use crate::limits::Limits;
use std::io::{Read, Seek};

const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const END_BYTES: u64 = 22;
const MAX_COMMENT: u64 = 0xffff;
const LOCATOR_SIGNATURE: [u8; 4] = *b"PK\x06\x07";
const LOCATOR_BYTES: u64 = 20;
const END64_SIGNATURE: [u8; 4] = *b"PK\x06\x06";
const END64_BYTES: u64 = 56;
/// Bytes of the zip64 end record that its own length field does not count.
const END64_UNCOUNTED: u64 = 12;

/// What the fixed part of one directory header takes.
pub(super) const CENTRAL_BYTES: u64 = 46;

/// Where the directory is. It reaches exactly to the end records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) entries: u64,
    pub(super) directory_offset: u64,
    pub(super) directory_size: u64,
}

/// Finds the one end record and checks it against the length of the file and the limits. Reads at
/// most 64 KiB and three records, and allocates no more than that.
pub(super) fn find<R: Read + Seek>(
    source: &mut Source<R>,
    limits: &Limits,
) -> Result<End, ArchiveError> {
    let tail_bytes = source.length().min(END_BYTES + MAX_COMMENT);
    let start = source.length() - tail_bytes;
    let mut tail = vec![0; tail_bytes as usize];
    source.seek(start)?;
    source.fill(&mut tail)?;
    let at = locate(&tail)?;
    let record = &tail[at..at + END_BYTES as usize];
    let position = start + at as u64;
    let end = match zip64(source, position, record)? {
        Some(end) => end,
        None => plain(record, position)?,
    };
    check_limits(&end, limits)?;
    Ok(end)
}

/// The place of the end record in the last bytes of the file. Exactly one record may reach to the
/// end of the file, and no signature may follow it, since other readers take the last one.
fn locate(tail: &[u8]) -> Result<usize, ArchiveError> {
    let found: Vec<usize> = (0..tail.len().saturating_sub(END_BYTES as usize - 1))
        .filter(|&at| tail[at..].starts_with(&END_SIGNATURE))
        .collect();
    let reach = |at: usize| at + END_BYTES as usize + usize::from(u16_at(tail, at + 20));
    let mut fitting = found.iter().filter(|&&at| reach(at) == tail.len());
    match (fitting.next(), fitting.next(), found.last()) {
        (_, _, None) => Err(ArchiveError::NotAZip),
        (Some(_), Some(_), _) => Err(ArchiveError::TwoEndRecords),
        (Some(at), None, Some(last)) if at != last => Err(ArchiveError::TwoEndRecords),
        (Some(&at), None, _) => Ok(at),
        (None, _, Some(&last)) if reach(last) > tail.len() => Err(ArchiveError::Truncated),
        (None, _, Some(_)) => Err(ArchiveError::TrailingData),
    }
}

fn plain(record: &[u8], position: u64) -> Result<End, ArchiveError> {
    if [4, 6].iter().any(|&at| u16_at(record, at) != 0) || u16_at(record, 8) != u16_at(record, 10) {
        return Err(ArchiveError::MultiDisk);
    }
    let end = End {
        entries: u16_at(record, 10).into(),
        directory_size: u32_at(record, 12).into(),
        directory_offset: u32_at(record, 16).into(),
    };
    check_place(&end, position)?;
    Ok(end)
}

/// The zip64 end record, if there is a locator for one right before the plain record at `position`.
fn zip64<R: Read + Seek>(
    source: &mut Source<R>,
    position: u64,
    plain: &[u8],
) -> Result<Option<End>, ArchiveError> {
    let inconsistent = |detail| Err(ArchiveError::Zip64End { detail });
    let needed = u16_at(plain, 10) == u16::MAX
        || u32_at(plain, 12) == u32::MAX
        || u32_at(plain, 16) == u32::MAX;
    let Some(locator_position) = position.checked_sub(LOCATOR_BYTES) else {
        return if needed {
            inconsistent("the locator is missing")
        } else {
            Ok(None)
        };
    };
    source.seek(locator_position)?;
    let locator: [u8; LOCATOR_BYTES as usize] = source.array()?;
    if locator[..4] != LOCATOR_SIGNATURE {
        return if needed {
            inconsistent("the locator is missing")
        } else {
            Ok(None)
        };
    }
    if u32_at(&locator, 4) != 0 || u32_at(&locator, 16) > 1 {
        return Err(ArchiveError::MultiDisk);
    }
    let record_position = u64_at(&locator, 8);
    if record_position.checked_add(END64_BYTES) != Some(locator_position) {
        return inconsistent("the locator does not point to the record before it");
    }
    source.seek(record_position)?;
    let record: [u8; END64_BYTES as usize] = source.array()?;
    if record[..4] != END64_SIGNATURE || u64_at(&record, 4) != END64_BYTES - END64_UNCOUNTED {
        return inconsistent("the end record is not where the locator says");
    }
    let end = read_end64(&record, plain)?;
    check_place(&end, record_position)?;
    Ok(Some(end))
}

fn read_end64(record: &[u8], plain: &[u8]) -> Result<End, ArchiveError> {
    let same16 = |at: usize, value: u64| {
        u16_at(plain, at) == u16::MAX || u64::from(u16_at(plain, at)) == value
    };
    let same32 = |at: usize, value: u64| {
        u32_at(plain, at) == u32::MAX || u64::from(u32_at(plain, at)) == value
    };
    let end = End {
        entries: u64_at(record, 32),
        directory_size: u64_at(record, 40),
        directory_offset: u64_at(record, 48),
    };
    let disks = [u32_at(record, 16), u32_at(record, 20)];
    if disks != [0, 0] || !same16(4, 0) || !same16(6, 0) || u64_at(record, 24) != end.entries {
        return Err(ArchiveError::MultiDisk);
    }
    if !(same16(8, end.entries) && same16(10, end.entries)) {
        let detail = "two different numbers of entries";
        return Err(ArchiveError::Zip64End { detail });
    }
    if !(same32(12, end.directory_size) && same32(16, end.directory_offset)) {
        let detail = "two different places of the directory";
        return Err(ArchiveError::Zip64End { detail });
    }
    Ok(end)
}

fn check_place(end: &End, position: u64) -> Result<(), ArchiveError> {
    if end.directory_offset.checked_add(end.directory_size) != Some(position) {
        let detail = "it does not reach to the end records";
        return Err(ArchiveError::Directory { detail });
    }
    Ok(())
}

fn check_limits(end: &End, limits: &Limits) -> Result<(), ArchiveError> {
    if end.entries > limits.max_entries {
        let (entries, limit) = (end.entries, limits.max_entries);
        return Err(ArchiveError::TooManyEntries { entries, limit });
    }
    if end.directory_size > limits.max_directory_bytes {
        let (bytes, limit) = (end.directory_size, limits.max_directory_bytes);
        return Err(ArchiveError::DirectoryTooLarge { bytes, limit });
    }
    if end.entries.saturating_mul(CENTRAL_BYTES) > end.directory_size {
        let detail = "it is too small for its number of entries";
        return Err(ArchiveError::Directory { detail });
    }
    Ok(())
}

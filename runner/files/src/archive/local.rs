//! Local headers and data descriptors: they must repeat what the directory says.

use super::central::{DESCRIPTOR_FLAG, Record, UTF8_FLAG};
use super::extra::{self, Short};
use super::source::{Source, u16_at, u32_at, u64_at};
use crate::error::{ArchiveError, EntryName};
use std::io::{Read, Seek};

const SIGNATURE: [u8; 4] = *b"PK\x03\x04";
const DESCRIPTOR_SIGNATURE: [u8; 4] = *b"PK\x07\x08";
const LOCAL_BYTES: usize = 30;
/// Flags that both headers must agree on: encryption, descriptor, UTF-8.
const COMPARED_FLAGS: u16 = 1 | DESCRIPTOR_FLAG | 1 << 6 | UTF8_FLAG | 1 << 13;

/// Checks the local header of `record` and that header, data and descriptor end exactly at `next`.
/// Returns where the data begins.
pub(super) fn check<R: Read + Seek>(
    source: &mut Source<R>,
    record: &Record,
    next: u64,
) -> Result<u64, ArchiveError> {
    let overlap = || ArchiveError::Overlap {
        entry: EntryName::new(&record.path),
    };
    if next - record.offset < LOCAL_BYTES as u64 {
        return Err(overlap());
    }
    source.seek(record.offset)?;
    let fixed: [u8; LOCAL_BYTES] = source.array()?;
    let lengths = [26, 28].map(|at| usize::from(u16_at(&fixed, at)));
    let data_offset = record.offset + (LOCAL_BYTES + lengths[0] + lengths[1]) as u64;
    let data_end = data_offset
        .checked_add(record.compressed)
        .ok_or_else(overlap)?;
    let after = next.checked_sub(data_end).ok_or_else(overlap)?;
    let mut variable = vec![0; lengths[0] + lengths[1]];
    source.fill(&mut variable)?;
    let (name, extra) = variable.split_at(lengths[0]);
    compare(&fixed, name, extra, record)?;
    check_descriptor(source, record, data_end, after)?;
    Ok(data_offset)
}

fn compare(fixed: &[u8], name: &[u8], extra: &[u8], record: &Record) -> Result<(), ArchiveError> {
    let mismatch = |field| {
        let entry = EntryName::new(&record.path);
        Err(ArchiveError::HeaderMismatch { entry, field })
    };
    if fixed[..4] != SIGNATURE {
        return mismatch("signature");
    }
    if name != record.raw_name().as_bytes() {
        return mismatch("name");
    }
    if (u16_at(fixed, 6) ^ record.flags) & COMPARED_FLAGS != 0 {
        return mismatch("flags");
    }
    if u16_at(fixed, 8) != if record.deflated { 8 } else { 0 } {
        return mismatch("compression method");
    }
    let short = Short {
        compressed: u32_at(fixed, 18),
        size: u32_at(fixed, 22),
        offset: None,
    };
    let long = extra::resolve(extra, short, name)?;
    // Values that only follow the data may be left out before it.
    let same =
        |here: u64, there: u64| here == there || (here == 0 && record.flags & DESCRIPTOR_FLAG != 0);
    if !same(u32_at(fixed, 14).into(), record.crc32.into()) {
        return mismatch("checksum");
    }
    if !same(long.size, record.size) || !same(long.compressed, record.compressed) {
        return mismatch("size");
    }
    Ok(())
}

/// The bytes between the data and the next header: none, or exactly one data descriptor, which has
/// four possible lengths.
fn check_descriptor<R: Read + Seek>(
    source: &mut Source<R>,
    record: &Record,
    data_end: u64,
    after: u64,
) -> Result<(), ArchiveError> {
    let has_descriptor = record.flags & DESCRIPTOR_FLAG != 0;
    let (signed, wide) = match (has_descriptor, after) {
        (false, 0) => return Ok(()),
        (true, 12) => (false, false),
        (true, 16) => (true, false),
        (true, 20) => (false, true),
        (true, 24) => (true, true),
        _ => {
            let entry = EntryName::new(&record.path);
            return Err(ArchiveError::UnlistedBytes { entry });
        }
    };
    let mut bytes = [0; 24];
    let bytes = &mut bytes[..after as usize];
    source.seek(data_end)?;
    source.fill(bytes)?;
    let values = if signed { &bytes[4..] } else { &bytes[..] };
    let sizes = match wide {
        true => [u64_at(values, 4), u64_at(values, 12)],
        false => [u32_at(values, 4).into(), u32_at(values, 8).into()],
    };
    let right = (!signed || bytes[..4] == DESCRIPTOR_SIGNATURE)
        && u32_at(values, 0) == record.crc32
        && sizes == [record.compressed, record.size];
    if right {
        return Ok(());
    }
    let (entry, field) = (EntryName::new(&record.path), "data descriptor");
    Err(ArchiveError::HeaderMismatch { entry, field })
}

//! Extra fields: only the few that change what an entry is or how long its data is.

use super::source::{u16_at, u32_at, u64_at};
use crate::error::{ArchiveError, EntryName};

const ZIP64: u16 = 0x0001;
const UNICODE_PATH: u16 = 0x7075;
const STRONG_ENCRYPTION: u16 = 0x0017;
const AES_ENCRYPTION: u16 = 0x9901;
/// An old Unix field that carries a mode and a link target of its own, past the attributes.
const ASI_UNIX: u16 = 0x756e;

/// The sizes and the offset of one header, as 32-bit fields that a zip64 field may replace.
/// `None` where a header has no such field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Short {
    pub(super) size: u32,
    pub(super) compressed: u32,
    pub(super) offset: Option<u32>,
}

/// The same after replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Long {
    pub(super) size: u64,
    pub(super) compressed: u64,
    pub(super) offset: u64,
}

/// Walks the extra fields of one header, checks them, and resolves its sizes.
///
/// # Errors
/// When the fields do not add up, contradict the header or each other, or are not supported.
pub(super) fn resolve(fields: &[u8], short: Short, name: &[u8]) -> Result<Long, ArchiveError> {
    let entry = || EntryName::new(name);
    let mut zip64 = None;
    let mut rest = fields;
    while !rest.is_empty() {
        let (id, data, after) =
            split(rest).ok_or_else(|| ArchiveError::ExtraField { entry: entry() })?;
        match id {
            ZIP64 if zip64.is_some() => return Err(ArchiveError::Zip64Entry { entry: entry() }),
            ZIP64 => zip64 = Some(data),
            UNICODE_PATH => check_unicode_path(data, name)?,
            STRONG_ENCRYPTION | AES_ENCRYPTION => {
                return Err(ArchiveError::Encrypted { entry: entry() });
            }
            ASI_UNIX => return Err(ArchiveError::ExtraField { entry: entry() }),
            _ => {}
        }
        rest = after;
    }
    lengthen(short, zip64).ok_or_else(|| ArchiveError::Zip64Entry { entry: entry() })
}

fn split(fields: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (head, rest) = fields.split_at_checked(4)?;
    let (data, rest) = rest.split_at_checked(usize::from(u16_at(head, 2)))?;
    Some((u16_at(head, 0), data, rest))
}

/// The field must repeat the name: version, checksum of the header's name, then the name.
fn check_unicode_path(data: &[u8], name: &[u8]) -> Result<(), ArchiveError> {
    match data.split_at_checked(5) {
        Some(([1, ..], repeated)) if repeated == name => Ok(()),
        Some(_) => Err(ArchiveError::NameAmbiguous {
            entry: EntryName::new(name),
        }),
        None => Err(ArchiveError::ExtraField {
            entry: EntryName::new(name),
        }),
    }
}

/// A zip64 field holds exactly the values whose short fields are all ones, in a fixed order.
fn lengthen(short: Short, zip64: Option<&[u8]>) -> Option<Long> {
    // Before data of unknown length, some writers leave room for sizes and fill it with zeros.
    let reserved = short.offset.is_none() && short.size == 0 && short.compressed == 0;
    if reserved && zip64 == Some(&[0; 16]) {
        return lengthen(short, None);
    }
    let mut values = zip64.unwrap_or_default();
    let mut take = |value: u32| {
        if value != u32::MAX || zip64.is_none() {
            return Some(u64::from(value));
        }
        let (head, rest) = values.split_at_checked(8)?;
        values = rest;
        Some(u64_at(head, 0))
    };
    let size = take(short.size)?;
    let compressed = take(short.compressed)?;
    let offset = take(short.offset.unwrap_or(0))?;
    // Some writers add the number of the disk although its short field is not all ones.
    let complete = match values {
        [] => true,
        disk if disk.len() == 4 => u32_at(disk, 0) == 0,
        _ => false,
    };
    complete.then_some(Long {
        size,
        compressed,
        offset,
    })
}

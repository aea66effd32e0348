//! The central directory: one header for each entry, with its name, kind and sizes.

use super::end::{CENTRAL_BYTES, End};
use super::extra::{self, Short};
use super::source::{Source, u16_at, u32_at};
use crate::error::{ArchiveError, EntryName};
use crate::limits::Limits;
use crate::path;
use crate::summary::DroppedKind;
use std::io::{Read, Seek};

const SIGNATURE: [u8; 4] = *b"PK\x01\x02";

/// The data is encrypted, in one of three ways.
const ENCRYPTION_FLAGS: u16 = 1 | 1 << 6 | 1 << 13;
/// Sizes and checksum follow the data.
pub(super) const DESCRIPTOR_FLAG: u16 = 1 << 3;
/// The name is UTF-8.
pub(super) const UTF8_FLAG: u16 = 1 << 11;
/// Flags that do not change how an entry is read: the deflate level, and the two above.
const KNOWN_FLAGS: u16 = 0b110 | DESCRIPTOR_FLAG | UTF8_FLAG;

/// The version of the format that brought zip64; nothing later is supported.
const VERSION: u8 = 45;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

const DOS_DIRECTORY: u32 = 0x10;
const TYPE_MASK: u32 = 0o170_000;
const SPECIAL_BITS: u32 = 0o7_000;

/// One entry of an archive.
#[derive(Debug)]
pub(crate) struct Record {
    /// Checked, without a trailing slash.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// It had a setuid, setgid or sticky bit.
    pub(crate) had_special_bits: bool,
    pub(crate) deflated: bool,
    pub(super) flags: u16,
    pub(crate) crc32: u32,
    /// Bytes of the data in the archive.
    pub(crate) compressed: u64,
    /// Bytes of the data once inflated.
    pub(crate) size: u64,
    /// Where the local header begins.
    pub(super) offset: u64,
    /// Where the data begins; zero until the local header has been checked.
    pub(crate) data_offset: u64,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File { executable: bool },
    Directory,
    Symlink,
    Dropped(DroppedKind),
}

impl Record {
    /// The name as both headers must have it.
    pub(super) fn raw_name(&self) -> String {
        let slash = if self.kind == Kind::Directory {
            "/"
        } else {
            ""
        };
        format!("{}{slash}", self.path)
    }
}

/// A pass over the directory. Entries are counted against what the end record said.
#[derive(Debug)]
pub(super) struct Directory {
    position: u64,
    end: u64,
    remaining: u64,
    /// Reused for name, extra fields and comment; at most 192 KiB.
    variable: Vec<u8>,
}

impl Directory {
    pub(super) fn new(end: &End) -> Self {
        Self {
            position: end.directory_offset,
            end: end.directory_offset + end.directory_size,
            remaining: end.entries,
            variable: Vec::new(),
        }
    }

    /// The next entry, or none after the last one if the directory ends there as well.
    pub(super) fn next<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        limits: &Limits,
    ) -> Result<Option<Record>, ArchiveError> {
        let inconsistent = |detail| Err(ArchiveError::Directory { detail });
        if self.remaining == 0 {
            return match self.position == self.end {
                true => Ok(None),
                false => inconsistent("it is longer than its entries"),
            };
        }
        if self.end - self.position < CENTRAL_BYTES {
            return inconsistent("it is shorter than its entries");
        }
        source.seek(self.position)?;
        let fixed: [u8; CENTRAL_BYTES as usize] = source.array()?;
        if fixed[..4] != SIGNATURE {
            return inconsistent("an entry has no signature");
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(&fixed, at)));
        let variable = lengths.iter().sum::<usize>();
        self.position += CENTRAL_BYTES + variable as u64;
        if self.position > self.end {
            return inconsistent("an entry reaches beyond it");
        }
        self.variable.resize(variable, 0);
        source.fill(&mut self.variable)?;
        self.remaining -= 1;
        let (name, rest) = self.variable.split_at(lengths[0]);
        read(&fixed, name, &rest[..lengths[1]], limits).map(Some)
    }
}

fn read(fixed: &[u8], name: &[u8], extra: &[u8], limits: &Limits) -> Result<Record, ArchiveError> {
    let entry = || EntryName::new(name);
    let (host, flags, method) = (fixed[5], u16_at(fixed, 8), u16_at(fixed, 10));
    let text = decode(name, flags, host)?;
    path::check(
        text.strip_suffix('/')
            .filter(|rest| !rest.is_empty())
            .unwrap_or(text),
        limits,
    )?;
    check_flags(flags, method, name)?;
    if fixed[6] > VERSION {
        return Err(ArchiveError::Version { entry: entry() });
    }
    if u16_at(fixed, 34) != 0 {
        return Err(ArchiveError::MultiDisk);
    }
    let short = Short {
        compressed: u32_at(fixed, 20),
        size: u32_at(fixed, 24),
        offset: Some(u32_at(fixed, 42)),
    };
    let long = extra::resolve(extra, short, name)?;
    let attributes = Attributes {
        host,
        value: u32_at(fixed, 38),
    };
    let kind = attributes
        .kind(text.ends_with('/'))
        .ok_or_else(|| ArchiveError::KindAmbiguous { entry: entry() })?;
    let record = Record {
        path: text.strip_suffix('/').unwrap_or(text).into(),
        kind,
        had_special_bits: attributes.mode() & SPECIAL_BITS != 0,
        deflated: method == DEFLATED,
        flags,
        crc32: u32_at(fixed, 16),
        compressed: long.compressed,
        size: long.size,
        offset: long.offset,
        data_offset: 0,
    };
    check_sizes(&record, limits)?;
    Ok(record)
}

/// Names are UTF-8 if they are ASCII, say so, or were made on a Unix, where unmarked names are the
/// bytes of the file system. Anything else depends on the code page of the machine that packed it.
fn decode(name: &[u8], flags: u16, host: u8) -> Result<&str, ArchiveError> {
    let marked = name.is_ascii() || flags & UTF8_FLAG != 0 || is_unix(host);
    match std::str::from_utf8(name) {
        Ok(text) if marked => Ok(text),
        _ => Err(ArchiveError::NameEncoding {
            entry: EntryName::new(name),
        }),
    }
}

fn check_flags(flags: u16, method: u16, name: &[u8]) -> Result<(), ArchiveError> {
    let entry = || EntryName::new(name);
    if flags & ENCRYPTION_FLAGS != 0 || method == 99 {
        return Err(ArchiveError::Encrypted { entry: entry() });
    }
    if flags & !KNOWN_FLAGS != 0 {
        return Err(ArchiveError::Flags {
            entry: entry(),
            flags,
        });
    }
    if method != STORED && method != DEFLATED {
        return Err(ArchiveError::Compression {
            entry: entry(),
            method,
        });
    }
    Ok(())
}

fn check_sizes(record: &Record, limits: &Limits) -> Result<(), ArchiveError> {
    let entry = || EntryName::new(&record.path);
    if record.kind == Kind::Directory && record.size != 0 {
        return Err(ArchiveError::DirectoryWithData { entry: entry() });
    }
    if record.kind == Kind::Symlink && record.size > limits.max_target_bytes as u64 {
        let limit = limits.max_target_bytes;
        return Err(ArchiveError::SymlinkTooLong {
            entry: entry(),
            limit,
        });
    }
    if !record.deflated && record.size != record.compressed {
        return Err(ArchiveError::SizeMismatch { entry: entry() });
    }
    Ok(())
}

/// Unix or macOS: the systems whose attributes carry a mode.
fn is_unix(host: u8) -> bool {
    matches!(host, 3 | 19)
}

/// The external attributes and the system that gives them their meaning.
#[derive(Debug, Clone, Copy)]
struct Attributes {
    host: u8,
    value: u32,
}

impl Attributes {
    fn mode(self) -> u32 {
        self.value >> 16
    }

    /// What the entry is, or none where name, mode and attributes contradict each other.
    fn kind(self, slash: bool) -> Option<Kind> {
        let executable = is_unix(self.host) && self.mode() & 0o100 != 0;
        let file_type = self.mode() & TYPE_MASK;
        match (file_type, slash) {
            (0 | 0o040_000, true) => Some(Kind::Directory),
            (_, true) => None,
            (0o010_000, false) => Some(Kind::Dropped(DroppedKind::Fifo)),
            (0o020_000 | 0o060_000, false) => Some(Kind::Dropped(DroppedKind::Device)),
            (0o140_000, false) => Some(Kind::Dropped(DroppedKind::Socket)),
            (0o120_000, false) if is_unix(self.host) => Some(Kind::Symlink),
            (0 | 0o100_000, false) if self.value & DOS_DIRECTORY == 0 => {
                Some(Kind::File { executable })
            }
            _ => None,
        }
    }
}

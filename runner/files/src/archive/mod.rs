//! The raw structure of a zip archive, read strictly and completely before anything is inflated.
//!
//! Must not know files or directories on disk. Readers of zip archives differ in which of several
//! contradicting statements they believe; here a contradiction is a refusal. Entries, data
//! descriptors, the directory and the end records must tile the file without gap or overlap, which
//! also makes hidden and shared data impossible.

mod central;
mod end;
mod extra;
mod inflate;
mod local;
mod source;

pub(crate) use central::{Kind, Record};
pub(crate) use inflate::Inflater;
pub(crate) use source::Source;

use crate::error::{ArchiveError, EntryName};
use crate::limits::Limits;
use crate::tree::{Claim, Tree};
use std::io::{Read, Seek};

/// An archive whose structure, paths and declared sizes have all been accepted.
#[derive(Debug)]
pub(crate) struct Contents {
    /// In the order of their data in the file.
    pub(crate) records: Vec<Record>,
    pub(crate) tree: Tree,
}

/// Reads and checks everything except the data itself. Bytes read are bounded by the end records,
/// the directory and one header for each entry; nothing is inflated.
///
/// # Errors
/// The first refusal met.
pub(crate) fn read<R: Read + Seek>(
    source: &mut Source<R>,
    limits: &Limits,
) -> Result<Contents, ArchiveError> {
    let end = end::find(source, limits)?;
    let mut records = Vec::new();
    let mut tree = Tree::new(limits);
    let mut budget = Budget::default();
    let mut directory = central::Directory::new(&end);
    while let Some(record) = directory.next(source, limits)? {
        tree.insert(&record.path, record.kind.claim())?;
        budget.add(&record, limits)?;
        records.push(record);
    }
    records.sort_by_key(|record| record.offset);
    tile(source, &mut records, end.directory_offset)?;
    Ok(Contents { records, tree })
}

impl Kind {
    fn claim(self) -> Claim {
        match self {
            Self::Directory => Claim::Directory,
            Self::Symlink => Claim::Symlink,
            Self::File { .. } | Self::Dropped(_) => Claim::File,
        }
    }
}

/// Checks that entries follow each other from the first byte to the directory, and sets where the
/// data of each begins.
fn tile<R: Read + Seek>(
    source: &mut Source<R>,
    records: &mut [Record],
    directory_offset: u64,
) -> Result<(), ArchiveError> {
    if records.is_empty() && directory_offset != 0 {
        let detail = "bytes before an empty directory";
        return Err(ArchiveError::Directory { detail });
    }
    if let Some(first) = records.first().filter(|first| first.offset != 0) {
        let entry = EntryName::new(&first.path);
        return Err(ArchiveError::UnlistedBytes { entry });
    }
    if let Some(last) = records
        .last()
        .filter(|last| last.offset >= directory_offset)
    {
        let entry = EntryName::new(&last.path);
        return Err(ArchiveError::Overlap { entry });
    }
    for index in 0..records.len() {
        let following = records.get(index + 1).map(|record| record.offset);
        let record = &mut records[index];
        record.data_offset = local::check(source, record, following.unwrap_or(directory_offset))?;
    }
    Ok(())
}

/// Declared sizes so far, in bytes.
#[derive(Debug, Default)]
struct Budget {
    total: u64,
    compressed: u64,
}

impl Budget {
    fn add(&mut self, record: &Record, limits: &Limits) -> Result<(), ArchiveError> {
        let entry = || EntryName::new(&record.path);
        if record.size > limits.max_file_bytes {
            let limit = limits.max_file_bytes;
            return Err(ArchiveError::FileTooLarge {
                entry: entry(),
                limit,
            });
        }
        self.total = self.total.saturating_add(record.size);
        self.compressed = self.compressed.saturating_add(record.compressed);
        if self.total > limits.max_total_bytes {
            let limit = limits.max_total_bytes;
            return Err(ArchiveError::TotalTooLarge {
                entry: entry(),
                limit,
            });
        }
        let too_dense = |size: u64, compressed: u64| {
            size > limits.ratio_floor_bytes && size > compressed.saturating_mul(limits.max_ratio)
        };
        if too_dense(record.size, record.compressed) || too_dense(self.total, self.compressed) {
            let limit = limits.max_ratio;
            return Err(ArchiveError::RatioTooHigh {
                entry: entry(),
                limit,
            });
        }
        Ok(())
    }
}

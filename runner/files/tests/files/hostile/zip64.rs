//! Two sizes for one thing, by way of the zip64 records.

use super::{Case, case};
use crate::raw::{End, End64, Entry, extra, extra64, file, zip, zip_with, zip64_with};

pub(super) fn cases() -> Vec<Case> {
    [ends(), entries()].into_iter().flatten().collect()
}

fn ends() -> Vec<Case> {
    let wrong = |name, bytes| case(name, "ARCHIVE_ZIP64_INCONSISTENT", "", bytes);
    let disks = |name, bytes| case(name, "ARCHIVE_MULTI_DISK", "", bytes);
    let place = |name, bytes| case(name, "ARCHIVE_DIRECTORY_INCONSISTENT", "", bytes);
    vec![
        wrong(
            "no locator",
            zip_with(&[file("a", b"1")], |end| end.size = u32::MAX),
        ),
        wrong(
            "no locator for the count",
            zip_with(&[file("a", b"1")], |end| {
                end.entries = u16::MAX;
                end.entries_here = u16::MAX;
            }),
        ),
        wrong("two counts by zip64", with(|_, end| end.entries = 7)),
        wrong("two sizes by zip64", with(|_, end| end.size = 7)),
        wrong("two offsets by zip64", with(|_, end| end.offset = 7)),
        wrong("locator elsewhere", with(|end64, _| end64.position = 3)),
        wrong(
            "locator beyond the file",
            with(|end64, _| end64.position = u64::MAX - 8),
        ),
        wrong(
            "end record of another length",
            with(|end64, _| end64.length = 45),
        ),
        wrong(
            "end record without end",
            with(|end64, _| end64.length = u64::MAX),
        ),
        disks("two disks by zip64", with(|end64, _| end64.disks = 2)),
        disks(
            "two counts within zip64",
            with(|end64, _| end64.entries_here = 0),
        ),
        place(
            "directory elsewhere by zip64",
            with(|end64, _| end64.offset = 1),
        ),
        place(
            "directory nowhere by zip64",
            with(|end64, _| end64.size = u64::MAX),
        ),
        case(
            "a million entries by zip64",
            "ARCHIVE_TOO_MANY_ENTRIES",
            "",
            with(|end64, _| {
                end64.entries = 1_000_000;
                end64.entries_here = 1_000_000;
            }),
        ),
        case(
            "every entry there is",
            "ARCHIVE_TOO_MANY_ENTRIES",
            "",
            with(|end64, _| {
                end64.entries = u64::MAX;
                end64.entries_here = u64::MAX;
            }),
        ),
    ]
}

fn entries() -> Vec<Case> {
    let wrong = |name, change: fn(&mut Entry)| {
        let bytes = zip(&[file("x", b"data").with(change)]);
        case(name, "ARCHIVE_ZIP64_ENTRY", "x", bytes)
    };
    let all_ones = |entry: &mut Entry| {
        entry.central.size = u32::MAX;
        entry.central.compressed = u32::MAX;
    };
    let huge = file("x", b"data").with(all_ones).with(|entry| {
        entry.central.extra = extra64(&[u64::MAX, u64::MAX]);
    });
    let wide = file("x", b"data").with(all_ones).with(|entry| {
        entry.central.extra = extra64(&[1 << 29, 1 << 29]);
    });
    vec![
        wrong("zip64 field without need", |entry| {
            entry.central.extra = extra64(&[4])
        }),
        wrong("zip64 field too short", |entry| {
            entry.central.size = u32::MAX;
            entry.central.extra = extra(1, &[4, 0, 0, 0]);
        }),
        wrong("zip64 field too long", |entry| {
            entry.central.size = u32::MAX;
            entry.central.extra = extra64(&[4, 4, 4]);
        }),
        wrong("two zip64 fields", |entry| {
            entry.central.size = u32::MAX;
            entry.central.extra = [extra64(&[4]), extra64(&[5])].concat();
        }),
        wrong("another disk by zip64", |entry| {
            entry.central.extra = extra(1, &1u32.to_le_bytes());
        }),
        wrong(
            "local zip64 field with sizes before a descriptor",
            |entry| {
                *entry = entry.clone().described();
                entry.local.extra = extra64(&[4, 0]);
            },
        ),
        wrong("local zip64 field without need", |entry| {
            entry.local.extra = extra64(&[4, 4])
        }),
        case(
            "local zip64 size that differs",
            "ARCHIVE_HEADER_MISMATCH",
            "size",
            {
                zip(&[file("x", b"data").with(|entry| {
                    entry.local.size = u32::MAX;
                    entry.local.compressed = u32::MAX;
                    entry.local.extra = extra64(&[5, 4]);
                })])
            },
        ),
        case("18 exabytes", "ARCHIVE_FILE_TOO_LARGE", "x", zip(&[huge])),
        case(
            "half a gigabyte that is not there",
            "ARCHIVE_OVERLAP",
            "x",
            zip(&[wide]),
        ),
    ]
}

fn with(change: impl FnOnce(&mut End64, &mut End)) -> Vec<u8> {
    zip64_with(&[file("a", b"1"), file("b", b"2")], change)
}

//! Files that are two archives, half an archive, or more than one.

use super::{Case, case};
use crate::raw::{Entry, body, file, zip, zip_with};

pub(super) fn cases() -> Vec<Case> {
    [ends(), directories(), layouts()]
        .into_iter()
        .flatten()
        .collect()
}

fn ends() -> Vec<Case> {
    let good = zip(&[file("a", b"1")]);
    let other = zip(&[file("b", b"2")]);
    let append = |more: &[u8]| [&good[..], more].concat();
    let with_comment = |comment: &[u8]| {
        zip_with(&[file("a", b"1")], |end| {
            end.comment_length = comment.len() as u16;
            end.comment = comment.to_vec();
        })
    };
    let (mut twice, end) = body(&[file("a", b"1")]);
    let mut outer = end.clone();
    outer.comment_length = 22;
    twice.extend(outer.bytes());
    twice.extend(end.bytes());
    vec![
        case("nothing", "ARCHIVE_NOT_A_ZIP", "", Vec::new()),
        case(
            "text",
            "ARCHIVE_NOT_A_ZIP",
            "",
            b"hello, this is no archive at all".to_vec(),
        ),
        case(
            "cut in the end record",
            "ARCHIVE_NOT_A_ZIP",
            "",
            good[..good.len() - 1].to_vec(),
        ),
        case("cut in the comment", "ARCHIVE_TRUNCATED", "", {
            let long = with_comment(b"a comment");
            long[..long.len() - 3].to_vec()
        }),
        case("a byte more", "ARCHIVE_TRAILING_DATA", "", append(b"x")),
        case(
            "a kilobyte more",
            "ARCHIVE_TRAILING_DATA",
            "",
            append(&[7; 1024]),
        ),
        case(
            "too much more to find the end",
            "ARCHIVE_NOT_A_ZIP",
            "",
            append(&[7; 70_000]),
        ),
        case("two end records", "ARCHIVE_TWO_END_RECORDS", "", twice),
        case(
            "archive in the comment",
            "ARCHIVE_TWO_END_RECORDS",
            "",
            with_comment(&other),
        ),
        case("signature in the comment", "ARCHIVE_TWO_END_RECORDS", "", {
            with_comment(&[b"PK\x05\x06".as_slice(), &[9; 40]].concat())
        }),
        case(
            "two archives",
            "ARCHIVE_DIRECTORY_INCONSISTENT",
            "",
            append(&other),
        ),
        case(
            "another disk",
            "ARCHIVE_MULTI_DISK",
            "",
            end_with(|end| end.disk = 1),
        ),
        case(
            "directory's disk",
            "ARCHIVE_MULTI_DISK",
            "",
            end_with(|end| end.directory_disk = 2),
        ),
        case(
            "two counts",
            "ARCHIVE_MULTI_DISK",
            "",
            end_with(|end| end.entries_here = 0),
        ),
    ]
}

fn directories() -> Vec<Case> {
    let wrong = |name, bytes| case(name, "ARCHIVE_DIRECTORY_INCONSISTENT", "", bytes);
    let count = |entries| {
        end_with(move |end| {
            end.entries = entries;
            end.entries_here = entries;
        })
    };
    let mut unsigned = zip(&[file("a", b"1")]);
    let at = 31 + 1;
    assert_eq!(&unsigned[at..at + 4], b"PK\x01\x02");
    unsigned[at] = b'X';
    let mut beyond = zip(&[file("a", b"1")]);
    beyond[at + 28] = 200;
    vec![
        wrong("one entry too few", count(1)),
        wrong("one entry too many", count(3)),
        wrong("no entries but a directory", count(0)),
        wrong("directory too late", end_with(|end| end.offset += 1)),
        wrong("directory too early", end_with(|end| end.offset -= 1)),
        wrong("directory too small", end_with(|end| end.size -= 46)),
        wrong("directory too large", end_with(|end| end.size += 46)),
        wrong(
            "directory at the end of the world",
            end_with(|end| end.offset = 0xffff_fffe),
        ),
        wrong("entry without signature", unsigned),
        wrong("name beyond the directory", beyond),
        wrong(
            "bytes in front of nothing",
            [b"#!/bin/sh\n".to_vec(), zip(&[])].concat(),
        ),
    ]
}

fn layouts() -> Vec<Case> {
    let two = |change: fn(&mut Entry)| zip(&[file("a", b"1"), file("b", b"2").with(change)]);
    let unlisted = |name, shows, bytes| case(name, "ARCHIVE_UNLISTED_BYTES", shows, bytes);
    let overlap = |name, shows, bytes| case(name, "ARCHIVE_OVERLAP", shows, bytes);
    let first_gap = zip(&[file("a", b"1").with(|entry| entry.gap = b"MZ stub".to_vec())]);
    let tail = file("a", b"1").with(|entry| entry.descriptor = b"tail".to_vec());
    vec![
        unlisted("stub in front", "a", first_gap),
        unlisted("gap between", "\"a\"", two(|entry| entry.gap = vec![0; 5])),
        unlisted(
            "entry without listing",
            "a",
            two(|entry| entry.listed = false),
        ),
        unlisted("bytes before the directory", "a", zip(&[tail])),
        overlap(
            "same data twice",
            "",
            two(|entry| {
                entry.offset = Some(0);
                entry.present = false;
            }),
        ),
        overlap(
            "one within the other",
            "a",
            two(|entry| {
                entry.offset = Some(10);
            }),
        ),
        overlap(
            "data beyond the directory",
            "b",
            two(|entry| {
                entry.central.compressed = 5000;
                entry.central.size = 5000;
            }),
        ),
        overlap(
            "header in the directory",
            "b",
            two(|entry| entry.offset = Some(70)),
        ),
        overlap(
            "header in the end record",
            "b",
            two(|entry| entry.offset = Some(170)),
        ),
        overlap(
            "header beyond the file",
            "b",
            two(|entry| entry.offset = Some(1 << 30)),
        ),
    ]
}

/// Two good entries and a changed end record.
fn end_with(change: impl FnOnce(&mut crate::raw::End)) -> Vec<u8> {
    zip_with(&[file("a", b"1"), file("b", b"2")], change)
}

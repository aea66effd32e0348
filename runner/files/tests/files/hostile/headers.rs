//! Headers that disagree, data that is not what they say, and ways to pack that are not supported.

use super::{Case, case};
use crate::raw::{Entry, FILE, Header, descriptor, extra, file, zip};

pub(super) fn cases() -> Vec<Case> {
    [local(), descriptors(), data(), unsupported()]
        .into_iter()
        .flatten()
        .collect()
}

fn local() -> Vec<Case> {
    let differs = |name, field, change: fn(&mut Header)| {
        let bytes = zip(&[file("x", b"data").with(|entry| change(&mut entry.local))]);
        case(name, "ARCHIVE_HEADER_MISMATCH", field, bytes)
    };
    let mut unsigned = zip(&[file("x", b"data")]);
    unsigned[0] = b'X';
    vec![
        differs("another name in the local header", "name", |header| {
            header.name = b"y".into()
        }),
        differs("a longer name in the local header", "name", |header| {
            header.name = b"x/y".into()
        }),
        differs("another method", "method", |header| header.method = 8),
        differs("another checksum", "checksum", |header| header.crc ^= 1),
        differs("another size", "size", |header| header.size += 1),
        differs("another compressed size", "size", |header| {
            header.compressed += 1
        }),
        differs("no sizes without a descriptor", "size", |header| {
            header.size = 0;
            header.compressed = 0;
        }),
        differs("encrypted only locally", "flags", |header| {
            header.flags |= 1
        }),
        differs("a descriptor only locally", "flags", |header| {
            header.flags |= 8
        }),
        differs("UTF-8 only locally", "flags", |header| {
            header.flags |= 1 << 11
        }),
        case(
            "no local signature",
            "ARCHIVE_HEADER_MISMATCH",
            "signature",
            unsigned,
        ),
    ]
}

fn descriptors() -> Vec<Case> {
    let described = || file("x", b"data and more data").deflated().described();
    let differs =
        |name, entry: Entry| case(name, "ARCHIVE_HEADER_MISMATCH", "descriptor", zip(&[entry]));
    vec![
        differs(
            "descriptor with another checksum",
            described().with(|e| e.descriptor[4] ^= 1),
        ),
        differs(
            "descriptor with another size",
            described().with(|e| e.descriptor[12] ^= 1),
        ),
        differs(
            "descriptor with another signature",
            described().with(|e| e.descriptor[0] = 0),
        ),
        case("no descriptor", "ARCHIVE_UNLISTED_BYTES", "x", {
            zip(&[described().with(|entry| entry.descriptor.clear())])
        }),
        case("half a descriptor", "ARCHIVE_UNLISTED_BYTES", "x", {
            zip(&[described().with(|entry| entry.descriptor.truncate(8))])
        }),
        case("two descriptors", "ARCHIVE_UNLISTED_BYTES", "x", {
            let twice = |entry: &mut Entry| {
                let more = descriptor(&entry.central, false);
                entry.descriptor.extend(more);
            };
            zip(&[described().with(twice)])
        }),
    ]
}

fn data() -> Vec<Case> {
    let deflated = || file("x", &b"compress me ".repeat(100)).deflated();
    let size = |name, entry: Entry| case(name, "ARCHIVE_SIZE_MISMATCH", "x", zip(&[entry]));
    let bad = |name, entry: Entry| case(name, "ARCHIVE_BAD_DATA", "x", zip(&[entry]));
    let sum = |name, entry: Entry| case(name, "ARCHIVE_BAD_CHECKSUM", "x", zip(&[entry]));
    let hidden = deflated().with(|entry| entry.data.extend(b"hidden"));
    let hidden = hidden.both(|header| header.compressed += 6);
    vec![
        sum(
            "bad checksum",
            file("x", b"data").both(|header| header.crc ^= 1),
        ),
        sum(
            "bad checksum of deflated data",
            deflated().both(|header| header.crc ^= 1),
        ),
        sum(
            "bad checksum of nothing",
            file("x", b"").both(|header| header.crc = 1),
        ),
        size(
            "more data than declared",
            deflated().both(|header| header.size -= 1),
        ),
        size(
            "less data than declared",
            deflated().both(|header| header.size += 1),
        ),
        size("hidden behind the data", hidden),
        size(
            "stored with two sizes",
            file("x", b"data").both(|header| header.size = 3),
        ),
        bad(
            "deflated nothing",
            Entry::new("x", FILE, b"").both(|header| header.method = 8),
        ),
        bad(
            "no deflate stream",
            file("x", &[0xff; 64]).both(|header| header.method = 8),
        ),
        bad(
            "cut deflate stream",
            deflated()
                .with(|entry| {
                    entry.data.pop();
                })
                .both(|header| header.compressed -= 1),
        ),
    ]
}

fn unsupported() -> Vec<Case> {
    let flags = |name, bit: u16, reason| {
        case(
            name,
            reason,
            "x",
            zip(&[file("x", b"data").both(|header| header.flags |= bit)]),
        )
    };
    let method = |name, method, reason| {
        case(
            name,
            reason,
            "x",
            zip(&[file("x", b"data").both(|header| header.method = method)]),
        )
    };
    let field = |name, bytes: Vec<u8>, reason| {
        let entry = file("x", b"data").with(|entry| entry.central.extra = bytes);
        case(name, reason, "x", zip(&[entry]))
    };
    let newer = file("x", b"data").with(|entry| entry.version = 51);
    let other_disk = file("x", b"data").with(|entry| entry.disk = 1);
    vec![
        flags("encrypted", 1, "ARCHIVE_ENCRYPTED"),
        flags("strongly encrypted", 1 << 6, "ARCHIVE_ENCRYPTED"),
        flags("masked headers", 1 << 13, "ARCHIVE_ENCRYPTED"),
        flags("patch data", 1 << 5, "ARCHIVE_FLAGS_UNSUPPORTED"),
        flags("reserved flag", 1 << 15, "ARCHIVE_FLAGS_UNSUPPORTED"),
        method("encrypted by AES", 99, "ARCHIVE_ENCRYPTED"),
        method("bzip2", 12, "ARCHIVE_COMPRESSION_UNSUPPORTED"),
        method("LZMA", 14, "ARCHIVE_COMPRESSION_UNSUPPORTED"),
        method("deflate64", 9, "ARCHIVE_COMPRESSION_UNSUPPORTED"),
        method("unknown method", 4711, "ARCHIVE_COMPRESSION_UNSUPPORTED"),
        field("AES field", extra(0x9901, &[0; 7]), "ARCHIVE_ENCRYPTED"),
        field(
            "certificate field",
            extra(0x0017, &[0; 8]),
            "ARCHIVE_ENCRYPTED",
        ),
        field(
            "second mode",
            extra(0x756e, &[0; 14]),
            "ARCHIVE_EXTRA_FIELD",
        ),
        field("half a field", vec![9, 9, 9], "ARCHIVE_EXTRA_FIELD"),
        field(
            "field beyond the header",
            vec![9, 9, 200, 0, 1],
            "ARCHIVE_EXTRA_FIELD",
        ),
        case(
            "newer format",
            "ARCHIVE_VERSION_UNSUPPORTED",
            "x",
            zip(&[newer]),
        ),
        case(
            "entry on another disk",
            "ARCHIVE_MULTI_DISK",
            "",
            zip(&[other_disk]),
        ),
    ]
}

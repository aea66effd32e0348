//! Archives that must be accepted, and what becomes of them.

use crate::raw::{
    DIRECTORY, Entry, FILE, LINK, descriptor, directory, extra, extra64, file, link, zip, zip_with,
    zip64_with,
};
use crate::support::{Node, Place, accept, import};
use membrane_files::{DroppedKind, Limits, import_zip};
use std::io::Cursor;

#[test]
fn files_directories_links_and_executable_bits_arrive() {
    let (tree, summary) = accept(&zip(&[
        directory("empty/"),
        file("a/b/plain.txt", b"plain"),
        Entry::new("a/run.sh", 0o100_755, b"#!/bin/sh\n").deflated(),
        link("a/b/up", "../run.sh"),
        file("streamed", b"later").deflated().described(),
    ]));
    assert_eq!(summary.files, 3);
    assert_eq!(summary.directories, 3);
    assert_eq!(summary.symlinks, 1);
    assert_eq!(summary.total_bytes, 20);
    assert!(summary.dropped.is_empty());
    assert_eq!(tree["empty"], Node::Directory);
    assert_eq!(tree["a/b/up"], link_to("../run.sh"));
    let run = Node::File {
        executable: true,
        contents: b"#!/bin/sh\n".to_vec(),
    };
    assert_eq!(tree["a/run.sh"], run);
    assert_eq!(tree["streamed"], plain(b"later"));
}

#[test]
fn an_empty_archive_is_an_empty_tree() {
    let (tree, summary) = accept(&zip(&[]));
    assert!(tree.is_empty());
    assert_eq!(summary, membrane_files::Summary::default());
}

#[test]
fn every_way_to_write_the_same_entry_is_read() {
    let x = || file("x", b"data");
    let both_ones = |entry: &mut Entry| {
        for header in [&mut entry.local, &mut entry.central] {
            header.size = u32::MAX;
            header.compressed = u32::MAX;
            header.extra = extra64(&[4, 4]);
        }
    };
    let unsigned = x()
        .described()
        .with(|entry| entry.descriptor = descriptor(&entry.central, false));
    let wide = x().described().with(|entry| {
        let crc = entry.central.crc.to_le_bytes().to_vec();
        entry.descriptor = [crc, 4u64.to_le_bytes().repeat(2)].concat();
    });
    let signed_wide = wide.clone().with(|entry| {
        entry.descriptor = [b"PK\x07\x08".to_vec(), entry.descriptor.clone()].concat()
    });
    let repeated = extra(0x7075, b"\x01\0\0\0\0x");
    let times = extra(0x5455, b"\x03\0\0\0\0\0\0\0\0");
    for entry in [
        x(),
        x().deflated(),
        x().described(),
        unsigned,
        wide,
        signed_wide,
        x().with(both_ones),
        x().both(|header| header.extra = repeated.clone()),
        x().with(|entry| entry.local.extra = times),
        x().with(|entry| entry.host = 19),
        x().with(|entry| entry.attributes = 0),
        x().with(|entry| (entry.host, entry.attributes) = (0, 0x20)),
        x().both(|header| header.flags = 1 << 11),
    ] {
        let (tree, _) = accept(&zip(std::slice::from_ref(&entry)));
        assert_eq!(tree["x"], plain(b"data"));
    }
}

#[test]
fn comments_zip64_records_and_any_order_are_fine() {
    let entries = [file("a", b"1"), file("b", b"2")];
    let comment = zip_with(&entries, |end| {
        end.comment = b"made for a test".to_vec();
        end.comment_length = 15;
    });
    let late = zip64_with(&entries, |_, end| (end.entries, end.entries_here) = (2, 2));
    for bytes in [comment, zip64_with(&entries, |_, _| {}), late] {
        assert_eq!(accept(&bytes).0.len(), 2);
    }
    let child_first = zip(&[file("d/x", b"1"), directory("d/")]);
    assert_eq!(accept(&child_first).1.directories, 1);
}

#[test]
fn an_archive_within_an_archive_is_a_file() {
    let inner = zip(&[file("../evil", b"nested")]);
    let (tree, _) = accept(&zip(&[file("inner.zip", &inner)]));
    assert_eq!(tree["inner.zip"], plain(&inner));
}

#[test]
fn unusual_but_harmless_names_are_kept() {
    let names = [
        "...",
        ". ",
        "..a",
        "a..",
        "-rf",
        "*",
        "über/日本/🦀",
        "new\nline",
        " ",
    ];
    for name in names
        .into_iter()
        .chain(["__MACOSX/._a", "CON", "ab:c", "cafe\u{301}"])
    {
        let (tree, _) = accept(&zip(&[file(name, b"x")]));
        assert_eq!(tree[name], plain(b"x"), "{name:?}");
    }
    let unmarked = file("é", b"x").both(|header| header.flags = 0);
    assert_eq!(accept(&zip(&[unmarked])).0["é"], plain(b"x"));
}

#[test]
fn links_within_the_tree_are_kept_as_they_are() {
    for (path, target) in [
        ("d/l", ".."),
        ("d/e/l", "../../x"),
        ("l", "."),
        ("l", "l"),
        ("l", "missing/name"),
        ("l", ".//a/./b"),
        ("l", "..."),
    ] {
        let (tree, _) = accept(&zip(&[link(path, target)]));
        assert_eq!(tree[path], link_to(target));
    }
    let long = "x".repeat(4095);
    assert_eq!(accept(&zip(&[link("l", &long)])).0["l"], link_to(&long));
}

#[test]
fn devices_and_special_bits_are_dropped_and_listed() {
    let (tree, summary) = accept(&zip(&[
        Entry::new("character", 0o020_666, b""),
        Entry::new("block", 0o060_666, b""),
        Entry::new("fifo", 0o010_644, b""),
        Entry::new("socket", 0o140_755, b""),
        Entry::new("setuid", 0o104_755, b"1"),
        Entry::new("setgid", 0o102_644, b"2"),
        Entry::new("sticky/", DIRECTORY | 0o1_000, b""),
    ]));
    assert_eq!(
        tree.keys().collect::<Vec<_>>(),
        ["setgid", "setuid", "sticky"]
    );
    let listed: Vec<_> = summary.dropped.iter().map(ToString::to_string).collect();
    assert_eq!(
        listed,
        [
            "character (device)",
            "block (device)",
            "fifo (named pipe)",
            "socket (socket)",
            "setuid (setuid, setgid or sticky bit)",
            "setgid (setuid, setgid or sticky bit)",
            "sticky (setuid, setgid or sticky bit)",
        ]
    );
    assert_eq!(summary.dropped[0].kind, DroppedKind::Device);
}

#[test]
fn no_special_bit_and_no_foreign_mode_reaches_the_disk() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let bytes = zip(&[
        Entry::new("all", 0o107_777, b""),
        Entry::new("none", FILE & 0o170_000, b""),
        Entry::new("all-d/", 0o047_777, b""),
        Entry::new("none-d/", 0o040_000, b""),
    ]);
    import(&bytes, &place).expect("an acceptable archive");
    let mode = |name: &str| {
        let metadata = std::fs::metadata(place.path().join(name)).expect("metadata");
        metadata.permissions().mode() & 0o7_777
    };
    assert_eq!(mode("all") & !0o755, 0);
    assert_eq!(mode("all") & 0o700, 0o700);
    assert_eq!(mode("none") & 0o700, 0o600);
    assert_eq!(mode("none") & !0o644, 0);
    assert_eq!(mode("all-d"), mode("none-d"));
    assert_eq!(mode("all-d") & 0o7_022, 0);
}

#[test]
fn twins_are_accepted_where_the_caller_restores_a_linux_tree() {
    let limits = Limits {
        refuse_twins: false,
        ..Limits::default()
    };
    let bytes = zip(&[
        file("Makefile", b"1"),
        file("makefile", b"2"),
        link("MAKEFILE", "x"),
    ]);
    let place = Place::new();
    import_zip(Cursor::new(&bytes), &place.handle, &limits).expect("twins are allowed");
    assert_eq!(place.tree().len(), 3);
}

#[test]
fn a_mode_without_a_type_is_a_file() {
    let (tree, _) = accept(&zip(&[Entry::new("x", 0o700, b"")]));
    assert_eq!(
        tree["x"],
        Node::File {
            executable: true,
            contents: Vec::new()
        }
    );
    assert_eq!(accept(&zip(&[Entry::new("l", LINK, b"x")])).1.symlinks, 1);
}

fn plain(contents: &[u8]) -> Node {
    Node::File {
        executable: false,
        contents: contents.to_vec(),
    }
}

fn link_to(target: &str) -> Node {
    Node::Link {
        target: target.to_owned(),
    }
}

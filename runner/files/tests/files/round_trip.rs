//! A tree that is exported and imported again is the same tree.

use crate::peers::{python_trees, unzip_tree};
use crate::support::{Node, Place, Tree, accept, tree};
use membrane_files::{DroppedKind, Limits, Summary, export_zip, import_directory, import_zip};
use proptest::prelude::*;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

fn export(place: &Place) -> (Vec<u8>, Summary) {
    let mut bytes = Vec::new();
    let limits = Limits::default();
    let summary = export_zip(&place.handle, &mut bytes, &limits).expect("an export");
    (bytes, summary)
}

fn write(root: &Path, wanted: &Tree) {
    for (path, node) in wanted {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        match node {
            Node::Directory => fs::create_dir_all(&path).expect("a directory"),
            Node::Link { target } => symlink(target, &path).expect("a link"),
            Node::File {
                executable,
                contents,
            } => {
                fs::write(&path, contents).expect("a file");
                let mode = if *executable { 0o755 } else { 0o644 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            }
        }
    }
}

/// Exports, imports and compares; also by way of a plain copy.
fn assert_round_trip(place: &Place) -> Vec<u8> {
    let (bytes, exported) = export(place);
    let back = Place::new();
    let imported = import_zip(Cursor::new(&bytes), &back.handle, &Limits::default());
    assert_eq!(imported.expect("our own archive"), exported);
    assert_eq!(back.tree(), place.tree());
    let copy = Place::new();
    let copied = import_directory(&place.handle, &copy.handle, &Limits::default());
    assert_eq!(copied.expect("a copy"), exported);
    assert_eq!(copy.tree(), place.tree());
    assert_eq!(export(&back).0, bytes, "equal trees give equal archives");
    bytes
}

#[test]
fn a_rich_tree_survives_and_others_see_it_as_well() {
    let place = Place::new();
    let link = |target: &str| Node::Link {
        target: target.to_owned(),
    };
    let contents = (0u32..100_000).flat_map(u32::to_le_bytes).collect();
    let wanted = Tree::from([
        ("empty".into(), Node::Directory),
        ("deep/er/and/deeper".into(), Node::Directory),
        (
            "run".into(),
            Node::File {
                executable: true,
                contents: b"#!/bin/sh\n".to_vec(),
            },
        ),
        (
            "über/日本/🦀.txt".into(),
            Node::File {
                executable: false,
                contents,
            },
        ),
        (
            "nothing".into(),
            Node::File {
                executable: false,
                contents: Vec::new(),
            },
        ),
        ("deep/link".into(), link("../über/日本")),
        ("deep/to-directory".into(), link("er")),
        ("dangling".into(), link("no/such/name")),
        ("root".into(), link(".")),
    ]);
    write(place.path(), &wanted);
    let bytes = assert_round_trip(&place);
    assert_eq!(python_trees(std::slice::from_ref(&bytes)), [place.tree()]);
    assert_eq!(unzip_tree(&bytes), place.tree());
}

#[test]
fn what_a_tree_may_not_carry_is_dropped_and_listed() {
    let place = Place::new();
    let path = |name: &str| place.path().join(name);
    let mode = |name: &str, mode| {
        fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    fs::write(path("setuid"), "x").expect("a file");
    mode("setuid", 0o4_755);
    fs::create_dir(path("sticky")).expect("a directory");
    mode("sticky", 0o1_777);
    make_fifo(&path("fifo"));
    let _socket = UnixListener::bind(path("socket")).expect("a socket");
    symlink("/etc/passwd", path("absolute")).expect("a link");
    symlink("../outside", path("outside")).expect("a link");
    symlink("sticky/../../outside", path("detour")).expect("a link");
    fs::write(path("back\\slash"), "x").expect("a file");
    fs::create_dir(path(".membrane-import")).expect("a directory");
    let (bytes, summary) = export(&place);
    let listed: Vec<_> = summary
        .dropped
        .iter()
        .map(|dropped| (dropped.path.as_str(), dropped.kind))
        .collect();
    assert_eq!(
        listed,
        [
            ("absolute", DroppedKind::OutsideLink),
            ("back\\slash", DroppedKind::Name),
            ("detour", DroppedKind::OutsideLink),
            ("fifo", DroppedKind::Fifo),
            ("outside", DroppedKind::OutsideLink),
            ("setuid", DroppedKind::ModeBits),
            ("socket", DroppedKind::Socket),
            ("sticky", DroppedKind::ModeBits),
        ]
    );
    let back = Place::new();
    import_zip(Cursor::new(&bytes), &back.handle, &Limits::default()).expect("our own archive");
    assert_eq!(back.tree().keys().collect::<Vec<_>>(), ["setuid", "sticky"]);
    let copy = Place::new();
    let copied = import_directory(&place.handle, &copy.handle, &Limits::default());
    assert_eq!(copied.expect("a copy"), summary);
    assert_eq!(copy.tree(), back.tree());
    let metadata = fs::metadata(copy.path().join("setuid")).expect("metadata");
    assert_eq!(metadata.permissions().mode() & 0o7_000, 0);
}

fn make_fifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).expect("a fifo");
}

#[test]
fn names_that_are_not_unicode_are_dropped_and_listed() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::write(place.path().join(name), "x").expect("a file");
    let (_, summary) = export(&place);
    assert_eq!(summary.files, 0);
    assert_eq!(summary.dropped[0].kind, DroppedKind::Name);
    assert!(summary.dropped[0].path.starts_with("caf"));
}

#[test]
fn a_local_tree_is_held_to_the_limits() {
    let place = Place::new();
    fs::create_dir(place.path().join("d")).expect("a directory");
    fs::write(place.path().join("d/ab"), "12345").expect("a file");
    fs::write(place.path().join("c"), "678").expect("a file");
    let all = Limits::default();
    for (limits, reason) in [
        (
            Limits {
                max_entries: 2,
                ..all
            },
            "ARCHIVE_TOO_MANY_ENTRIES",
        ),
        (
            Limits {
                max_total_bytes: 7,
                ..all
            },
            "ARCHIVE_TOTAL_TOO_LARGE",
        ),
        (
            Limits {
                max_file_bytes: 4,
                ..all
            },
            "ARCHIVE_FILE_TOO_LARGE",
        ),
        (
            Limits {
                max_path_bytes: 3,
                ..all
            },
            "ARCHIVE_PATH_TOO_LONG",
        ),
        (
            Limits {
                max_depth: 1,
                ..all
            },
            "ARCHIVE_TOO_DEEP",
        ),
    ] {
        let copy = Place::new();
        let error = import_directory(&place.handle, &copy.handle, &limits).expect_err("a limit");
        assert_eq!(error.reason(), reason);
        assert!(copy.tree().is_empty());
        let error = export_zip(&place.handle, std::io::sink(), &limits).expect_err("a limit");
        assert_eq!(error.reason(), reason);
    }
}

#[test]
fn twins_of_a_local_tree_are_the_callers_choice() {
    let place = Place::new();
    fs::write(place.path().join("Makefile"), "1").expect("a file");
    fs::write(place.path().join("makefile"), "2").expect("a file");
    let strict = Limits::default();
    let error = export_zip(&place.handle, std::io::sink(), &strict).expect_err("twins");
    assert_eq!(error.reason(), "ARCHIVE_TWIN");
    let lenient = Limits {
        refuse_twins: false,
        ..strict
    };
    let mut bytes = Vec::new();
    export_zip(&place.handle, &mut bytes, &lenient).expect("an export");
    let back = Place::new();
    import_zip(Cursor::new(&bytes), &back.handle, &lenient).expect("our own archive");
    assert_eq!(back.tree(), place.tree());
}

#[test]
fn exports_with_room_for_huge_files_are_the_same_to_all() {
    let place = Place::new();
    fs::write(place.path().join("a"), "data").expect("a file");
    fs::write(place.path().join("empty"), "").expect("a file");
    symlink("a", place.path().join("l")).expect("a link");
    let limits = Limits {
        max_file_bytes: u64::MAX,
        ..Limits::default()
    };
    let mut bytes = Vec::new();
    export_zip(&place.handle, &mut bytes, &limits).expect("an export");
    assert_eq!(accept(&bytes).0, place.tree());
    assert_eq!(python_trees(std::slice::from_ref(&bytes)), [place.tree()]);
    assert_eq!(unzip_tree(&bytes), place.tree());
}

#[test]
fn a_destination_within_the_source_is_refused() {
    let place = Place::new();
    let inside = place.path().join("a/b");
    fs::create_dir_all(&inside).expect("directories");
    let destination = crate::support::open(&inside);
    for source in [&place.handle, &destination] {
        let error = import_directory(source, &destination, &Limits::default());
        assert_eq!(
            error.expect_err("a loop").reason(),
            "ARCHIVE_DESTINATION_IN_SOURCE"
        );
        assert!(tree(&inside).is_empty());
    }
}

#[test]
fn a_file_without_permission_to_read_fails_the_export_or_is_read() {
    let place = Place::new();
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o200);
    options.open(place.path().join("secret")).expect("a file");
    // Root may read everything; anyone else gets an error, never a tree without the file.
    match export_zip(&place.handle, std::io::sink(), &Limits::default()) {
        Ok(summary) => assert_eq!(summary.files, 1),
        Err(error) => assert_eq!(error.reason(), "ARCHIVE_IO"),
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,3}", "[äöü日\u{301}. -]{1,2}x"]
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        Just(Node::Directory),
        (any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)).prop_map(
            |(executable, contents)| Node::File {
                executable,
                contents
            }
        ),
        prop::sample::select(vec!["x", "./a", ".", "a/b"]).prop_map(|target| Node::Link {
            target: target.to_owned()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_tree_survives(nodes in prop::collection::vec((prop::collection::vec(name(), 1..4), node()), 0..12)) {
        let place = Place::new();
        let mut wanted = Tree::new();
        for (names, node) in nodes {
            // Only nodes that fit the tree so far: no twin, nothing beneath a file or link.
            let path = names.join("/");
            let fits = |other: &String| {
                let (a, b) = (other.to_lowercase(), path.to_lowercase());
                !a.starts_with(&b) && !b.starts_with(&a)
            };
            if wanted.keys().all(fits) {
                wanted.insert(path, node);
            }
        }
        write(place.path(), &wanted);
        assert_round_trip(&place);
    }
}

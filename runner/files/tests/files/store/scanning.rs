//! Trees as a scan sees them.

use super::{Ending, Workspace, file, later, listing, now, path, skipped};
use crate::support::Place;
use membrane_files::TreePath;
use membrane_files::store::{Digest, Node, ScanError, ScanOptions, StatCache, Store, scan};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# made by a test";

#[test]
fn a_manifest_has_what_the_tree_has() {
    let workspace = Workspace::new();
    workspace.write("a/b", "text");
    workspace.write("a.b", "run");
    workspace.write(".git/HEAD", "ref");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(workspace.path("a.b"), mode).expect("a mode");
    fs::create_dir(workspace.path("empty")).expect("a directory");
    symlink("/etc/passwd", workspace.path("link")).expect("a link");
    let scan = workspace.scan();
    let manifest = &scan.manifest;
    assert_eq!(
        listing(manifest),
        [".git", ".git/HEAD", "a", "a.b", "a/b", "empty", "link"]
    );
    assert_eq!(manifest.get(&path("a/b")), Some(&file("text")));
    assert!(matches!(
        manifest.get(&path("a.b")),
        Some(Node::File {
            executable: true,
            ..
        })
    ));
    let target = b"/etc/passwd".to_vec();
    assert_eq!(manifest.get(&path("link")), Some(&Node::Symlink { target }));
    assert_eq!(manifest.get(&path("empty")), Some(&Node::Directory));
    assert_eq!(
        (
            scan.summary.entries,
            scan.summary.hashed_files,
            scan.summary.hashed_bytes
        ),
        (7, 3, 10)
    );
    let digest = Digest::of(b"text");
    assert_eq!(workspace.store.read(&digest, 9).expect("stored"), b"text");
    assert!(manifest.skipped().is_empty());
}

#[test]
fn an_unchanged_tree_is_not_read_again() {
    let workspace = Workspace::new();
    for n in 0..300 {
        workspace.write(&format!("d{}/f{n}", n % 7), &n.to_string());
    }
    let first = workspace.scan();
    assert_eq!(first.summary.hashed_files, 300);
    let second = workspace.scan();
    assert_eq!(second.manifest, first.manifest);
    assert_eq!(
        (second.summary.hashed_files, second.summary.hashed_bytes),
        (0, 0)
    );
    workspace.write("d3/f10", "changed");
    let third = workspace.scan();
    assert_eq!(
        (third.summary.hashed_files, third.summary.hashed_bytes),
        (1, 7)
    );
    assert_eq!(third.manifest.get(&path("d3/f10")), Some(&file("changed")));
}

#[test]
fn a_file_that_was_just_written_is_read_again() {
    let workspace = Workspace::new();
    workspace.write("f", "one");
    let mut cache = StatCache::default();
    let mut hashed = || {
        let options = ScanOptions::default();
        let tree = &workspace.tree.handle;
        let scan = scan(tree, &workspace.store, &mut cache, now(), &options).expect("a scan");
        scan.summary.hashed_files
    };
    assert_eq!((hashed(), hashed()), (1, 1));
    assert!(cache.is_empty());
}

#[test]
fn contents_that_the_store_lost_are_read_again() {
    let workspace = Workspace::new();
    workspace.write("f", "one");
    workspace.scan();
    fs::remove_dir_all(workspace.place.path().join("blobs")).expect("removed");
    let store = Store::open(crate::support::open(workspace.place.path())).expect("a store");
    let mut cache = store.read_index().expect("an index");
    assert_eq!(cache.len(), 1);
    let options = ScanOptions::default();
    let scan = scan(
        &workspace.tree.handle,
        &store,
        &mut cache,
        later(),
        &options,
    );
    assert_eq!(scan.expect("a scan").summary.hashed_files, 1);
    assert_eq!(store.read(&Digest::of(b"one"), 9).expect("stored"), b"one");
}

#[test]
fn a_damaged_index_is_an_empty_one() {
    let workspace = Workspace::new();
    workspace.write("f", "one");
    workspace.scan();
    fs::write(workspace.place.path().join("index"), "nonsense").expect("damaged");
    assert!(workspace.store.read_index().expect("an index").is_empty());
    assert_eq!(workspace.scan().summary.hashed_files, 1);
}

#[test]
fn caches_packages_and_special_files_are_skipped() {
    let workspace = Workspace::new();
    workspace.write("a/node_modules/x/index.js", "x");
    workspace.write("__pycache__/x.pyc", "x");
    workspace.write("target/CACHEDIR.TAG", TAG);
    workspace.write("target/debug/x", "x");
    workspace.write("fake/CACHEDIR.TAG", "Signature: none");
    workspace.write("file/node_modules", "a file");
    workspace.write(".membrane-import/x", "x");
    let _socket = UnixListener::bind(workspace.path("socket")).expect("a socket");
    crate::support::run(
        std::process::Command::new("mkfifo").arg(workspace.path("pipe")),
        "coreutils",
    );
    let manifest = workspace.manifest();
    assert_eq!(
        listing(&manifest),
        [
            "a",
            "fake",
            "fake/CACHEDIR.TAG",
            "file",
            "file/node_modules"
        ]
    );
    let reasons = [
        "__pycache__ Excluded",
        "a/node_modules Excluded",
        "pipe Special",
        "socket Special",
        "target Excluded",
    ];
    assert_eq!(skipped(&manifest), reasons);
}

#[test]
fn a_pipe_that_poses_as_a_tag_does_not_stop_a_scan() {
    let workspace = Workspace::new();
    let tag = workspace.path("CACHEDIR.TAG");
    crate::support::run(std::process::Command::new("mkfifo").arg(tag), "coreutils");
    fs::create_dir(workspace.path("d")).expect("a directory");
    let tag = workspace.path("d/CACHEDIR.TAG");
    crate::support::run(std::process::Command::new("mkfifo").arg(tag), "coreutils");
    assert_eq!(listing(&workspace.manifest()), ["d"]);
}

#[test]
fn what_breaks_a_limit_is_skipped_or_refused() {
    let workspace = Workspace::new();
    workspace.write("large", "12345");
    workspace.write("small", "1234");
    workspace.write("a/b/c", "x");
    let options = ScanOptions {
        max_file_bytes: 4,
        max_depth: 2,
        ..ScanOptions::default()
    };
    let manifest = workspace.scan_with(&options).manifest;
    assert_eq!(listing(&manifest), ["a", "small"]);
    assert_eq!(skipped(&manifest), ["a/b TooDeep", "large TooLarge"]);
    let options = ScanOptions {
        max_entries: 4,
        ..ScanOptions::default()
    };
    let mut cache = StatCache::default();
    let scan = scan(
        &workspace.tree.handle,
        &workspace.store,
        &mut cache,
        later(),
        &options,
    );
    assert!(matches!(scan, Err(ScanError::TooManyEntries { limit: 4 })));
}

#[test]
fn a_store_that_fails_ends_a_scan() {
    let workspace = Workspace::new();
    for n in 0..500 {
        workspace.write(&n.to_string(), &n.to_string());
    }
    fs::remove_dir(workspace.place.path().join("tmp")).expect("removed");
    let mut cache = StatCache::default();
    let options = ScanOptions::default();
    let tree = &workspace.tree.handle;
    let scan = scan(tree, &workspace.store, &mut cache, later(), &options);
    assert!(matches!(scan, Err(ScanError::Store(_))));
}

#[test]
fn a_name_that_is_too_deep_for_any_path_does_not_hide_its_neighbours() {
    let workspace = Workspace::new();
    let mut deep = workspace.tree.handle.try_clone().expect("a handle");
    let name = "d".repeat(200);
    for _ in 0..20 {
        deep.create_dir(&name).expect("a directory");
        deep = deep.open_dir(&name).expect("a directory");
    }
    deep.write("a".repeat(100), "x").expect("a file");
    deep.write("b", "x").expect("a file");
    let manifest = workspace.manifest();
    let last = listing(&manifest).pop().expect("entries");
    assert!(last.ends_with("/b"));
    assert_eq!(manifest.skipped().len(), 1);
    assert!(last.starts_with(&manifest.skipped()[0].path.to_string()));
}

#[test]
fn any_name_that_linux_takes_comes_through() {
    let workspace = Workspace::new();
    let long = "n".repeat(255);
    let names = [
        &b"new\nline"[..],
        b"\xff\xfe",
        b"back\\slash",
        b" ",
        b"-",
        long.as_bytes(),
    ];
    for name in names {
        let path = workspace.tree.path().join(OsStr::from_bytes(name));
        fs::write(path, name).expect("a file");
    }
    let manifest = workspace.manifest();
    for name in names {
        let node = manifest.get(&TreePath::from_bytes(name).expect("a path"));
        let Some(Node::File { digest, .. }) = node else {
            panic!("{name:?} is not there");
        };
        assert_eq!(*digest, Digest::of(name));
    }
    let digest = workspace.store.save_manifest(&manifest).expect("saved");
    assert_eq!(
        workspace.store.load_manifest(&digest).expect("loaded"),
        manifest
    );
}

#[test]
fn a_swapped_directory_does_not_lead_a_scan_outside() {
    let workspace = Workspace::new();
    let outside = Place::new();
    for n in 0..60 {
        workspace.write(&format!("d/{n}"), &format!("inside {n}"));
        fs::write(outside.path().join(n.to_string()), "canary").expect("a file");
    }
    let (victim, aside) = (workspace.path("d"), workspace.path("aside"));
    let (done, swaps) = (AtomicBool::new(false), std::sync::atomic::AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::rename(&victim, &aside).expect("moved aside");
                symlink(outside.path(), &victim).expect("a link");
                swaps.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
                fs::remove_file(&victim).expect("no link");
                fs::rename(&aside, &victim).expect("moved back");
            }
        });
        let _ending = Ending(&done);
        for _ in 0..200 {
            let mut cache = StatCache::default();
            let options = ScanOptions::default();
            let tree = &workspace.tree.handle;
            let scan = scan(tree, &workspace.store, &mut cache, later(), &options);
            scan.expect("a scan");
        }
    });
    assert!(swaps.into_inner() > 0, "the attack never met the scan");
    let canary = Digest::of(b"canary");
    assert!(!workspace.store.contains(&canary).expect("seen"));
}

#[test]
fn a_file_that_changes_all_the_time_is_recorded_as_it_was_read() {
    let workspace = Workspace::new();
    workspace.write("f", "0");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0_u64.. {
                fs::write(workspace.path("f"), n.to_string().repeat(9_000)).expect("written");
                fs::write(workspace.path("g"), "x").expect("written");
                fs::remove_file(workspace.path("g")).expect("removed");
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let _ending = Ending(&done);
        let (mut cache, options) = (StatCache::default(), ScanOptions::default());
        for _ in 0..100 {
            let tree = &workspace.tree.handle;
            let scan = scan(tree, &workspace.store, &mut cache, now(), &options);
            let scan = scan.expect("a scan");
            let Some(Node::File { digest, size, .. }) = scan.manifest.get(&path("f")) else {
                panic!("the file is not there");
            };
            let stored = workspace.store.read(digest, u64::MAX).expect("stored");
            assert_eq!(stored.len() as u64, *size);
        }
    });
}

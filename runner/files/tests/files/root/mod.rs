//! A workspace's tree under every operation.

use crate::raw::{directory, file, link, zip};
use membrane_files::root::{Amount, Condition, Error, Etag, Kind, Quota, Root, TrashId, Usage};
use membrane_files::{Limits, TreePath};
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

mod exchanging;
mod swaps;

/// A workspace.
pub struct Home {
    directory: TempDir,
    pub root: Root,
    pub usage: Arc<Usage>,
}

impl Home {
    pub fn new() -> Self {
        Self::with_quota(Quota::default())
    }

    pub fn with_quota(quota: Quota) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        fs::create_dir(directory.path().join("files")).expect("a directory");
        let usage = Arc::new(Usage::new(quota));
        let base = crate::support::open(directory.path());
        let root = Root::open(base, usage.clone()).expect("a root");
        root.measure(Amount::default()).expect("measured");
        Self {
            directory,
            root,
            usage,
        }
    }

    /// Where something is on this machine.
    pub fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join("files").join(path)
    }

    /// Where something beside the tree is on this machine.
    pub fn beside(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        self.root
            .write(&at(path), text.as_bytes(), &Condition::None)
            .expect("written");
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).expect("a file")
    }

    fn names(&self, path: &str) -> Vec<String> {
        let listing = self.root.list(&at(path), None, 1_000).expect("a listing");
        let names = listing.entries.iter().map(|entry| entry.path.to_string());
        names.collect()
    }

    /// Whether nothing is left where things are made.
    fn is_tidy(&self) -> bool {
        let staging = self.directory.path().join("staging");
        fs::read_dir(staging).is_ok_and(|mut entries| entries.next().is_none())
    }
}

pub fn at(text: &str) -> TreePath {
    text.parse().expect("a path")
}

pub fn id(time: i64) -> TrashId {
    TrashId { time, number: 7 }
}

#[test]
fn directories_are_listed_first_and_then_by_name() {
    let home = Home::new();
    for path in ["b", "a", "Z", "d/x", "c/x", ".hidden"] {
        home.put(path, "x");
    }
    fs::create_dir(home.at(".membrane-import")).expect("a directory");
    symlink("d", home.at("link")).expect("a link");
    assert_eq!(home.names(""), ["c", "d", ".hidden", "Z", "a", "b", "link"]);
    assert_eq!(home.names("link"), ["link/x"]);
    let entry = home.root.stat(&at("link")).expect("an entry");
    assert_eq!(
        (entry.kind, &entry.link_target[..]),
        (Kind::Symlink, &b"d"[..])
    );
}

#[test]
fn pages_have_every_entry_once_while_others_come_and_go() {
    let home = Home::new();
    for n in 0..50 {
        home.put(&format!("{n:02}"), "x");
        home.root
            .create_directory(&at(&format!("d{n:02}")))
            .expect("made");
    }
    let mut seen = Vec::new();
    let mut place = None;
    loop {
        let page = home.root.list(&at(""), place.as_ref(), 7).expect("a page");
        assert!(page.entries.len() <= 7);
        seen.extend(page.entries.iter().map(|entry| entry.path.to_string()));
        let Some(next) = page.next else { break };
        let bytes = next.to_bytes();
        place = membrane_files::root::Place::from_bytes(&bytes);
        assert_eq!(place, Some(next));
        let _ = fs::remove_file(home.at(seen.last().expect("one")));
        home.put(&format!("d00/{}", seen.len()), "elsewhere");
    }
    assert_eq!(seen.len(), 100);
    seen.dedup();
    assert_eq!(seen.len(), 100);
}

#[test]
fn a_file_is_read_through_links_that_stay_and_no_others() {
    let home = Home::new();
    home.put("d/file", "hello");
    symlink("d/file", home.at("in")).expect("a link");
    symlink("/etc/passwd", home.at("absolute")).expect("a link");
    symlink("../../../../../../etc/passwd", home.at("up")).expect("a link");
    symlink("loop", home.at("loop")).expect("a link");
    let reader = home.root.read(&at("in")).expect("a file");
    assert_eq!(reader.read_at(1, 3).expect("bytes"), b"ell");
    assert_eq!(reader.read_at(4, 9).expect("bytes"), b"o");
    for path in ["absolute", "up", "loop", "absent", "d/file/x"] {
        let error = home.root.read(&at(path)).expect_err("refused");
        assert!(matches!(error, Error::NotFound), "{path}: {error:?}");
    }
    rustix::fs::mkfifoat(rustix::fs::CWD, home.at("pipe"), 0o644.into()).expect("a pipe");
    for path in ["d", "pipe"] {
        let error = home.root.read(&at(path)).expect_err("refused");
        assert!(matches!(error, Error::NotAFile(_)), "{path}: {error:?}");
    }
    fs::write(home.at("d/file"), "something else").expect("a change");
    assert!(matches!(reader.read_at(0, 1), Err(Error::Stale)));
}

#[test]
fn a_write_replaces_files_and_nothing_else() {
    let home = Home::new();
    home.put("script", "old");
    fs::set_permissions(home.at("script"), fs::Permissions::from_mode(0o755)).expect("bits");
    let read = home.root.stat(&at("script")).expect("an entry").etag;
    let unchanged = Condition::Unchanged(read);
    let entry = home
        .root
        .write(&at("script"), b"new", &unchanged)
        .expect("written");
    assert!(entry.executable && home.text("script") == "new");
    let stale = home.root.write(&at("script"), b"newer", &unchanged);
    assert!(matches!(stale, Err(Error::Stale)));
    let gone = home.root.write(&at("gone/file"), b"x", &unchanged);
    assert!(matches!(gone, Err(Error::Stale)));
    let taken = home.root.write(&at("script"), b"x", &Condition::Absent);
    assert!(matches!(taken, Err(Error::AlreadyExists(_))));
    home.put("d/e", "x");
    symlink("script", home.at("link")).expect("a link");
    symlink("d", home.at("way")).expect("a link");
    for path in ["link", "d", ""] {
        let error = home
            .root
            .write(&at(path), b"x", &Condition::None)
            .expect_err("refused");
        assert!(matches!(error, Error::NotAFile(_)), "{path}: {error:?}");
    }
    for path in ["way/new", "script/new"] {
        let error = home
            .root
            .write(&at(path), b"x", &Condition::None)
            .expect_err("refused");
        assert!(
            matches!(error, Error::NotADirectory(_)),
            "{path}: {error:?}"
        );
    }
    assert!(home.text("script") == "new" && home.is_tidy());
}

#[test]
fn moving_replaces_nothing_and_makes_the_way() {
    let home = Home::new();
    home.put("a/file", "x");
    home.put("b", "y");
    home.root
        .rename(&at("a"), &at("new/way/a"), None)
        .expect("moved");
    assert_eq!(home.text("new/way/a/file"), "x");
    type Case = (&'static str, &'static str, fn(&Error) -> bool);
    let cases: [Case; 6] = [
        ("b", "new", |error| matches!(error, Error::AlreadyExists(_))),
        ("b", "b", |error| matches!(error, Error::AlreadyExists(_))),
        ("new", "new/way/deeper", |error| {
            matches!(error, Error::IntoItself)
        }),
        ("absent", "c", |error| matches!(error, Error::NotFound)),
        ("new", "b/c", |error| {
            matches!(error, Error::NotADirectory(_))
        }),
        ("", "c", |error| matches!(error, Error::Top)),
    ];
    for (from, to, wanted) in cases {
        let error = home
            .root
            .rename(&at(from), &at(to), None)
            .expect_err("refused");
        assert!(wanted(&error), "{from} to {to}: {error:?}");
        let copied = home.root.copy(&at(from), &at(to)).expect_err("refused");
        assert!(wanted(&copied), "{from} to {to}: {copied:?}");
    }
    let stale = home
        .root
        .rename(&at("b"), &at("c"), Some(&Etag::new("other")));
    assert!(matches!(stale, Err(Error::Stale)));
    assert_eq!(home.names(""), ["new", "b"]);
}

#[test]
fn a_copy_has_bits_and_links_and_leaves_nothing_when_it_fails() {
    let home = Home::new();
    home.put("a/deep/er/script", "x");
    let script = home.at("a/deep/er/script");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("bits");
    symlink("../../b", home.at("a/link")).expect("a link");
    home.root.copy(&at("a"), &at("copies/a")).expect("copied");
    let copy = home
        .root
        .stat(&at("copies/a/deep/er/script"))
        .expect("an entry");
    assert!(copy.executable && copy.size == 1);
    let link = home.root.stat(&at("copies/a/link")).expect("an entry");
    assert_eq!(link.link_target, b"../../b");
    rustix::fs::mkfifoat(rustix::fs::CWD, home.at("a/deep/pipe"), 0o644.into()).expect("a pipe");
    let error = home.root.copy(&at("a"), &at("b")).expect_err("refused");
    assert!(matches!(error, Error::Special(path) if path == at("a/deep/pipe")));
    assert!(home.root.stat(&at("b")).is_err() && home.is_tidy());
    let counted = home.usage.known();
    assert_eq!(
        home.root
            .measure(Amount::default())
            .ok()
            .map(|sum| sum.bytes),
        counted.map(|sum| sum.bytes)
    );
}

#[test]
fn what_is_deleted_comes_back_with_its_path() {
    let home = Home::new();
    home.put("d/file", "x");
    home.put("other", "y");
    home.root.delete(&at("d"), None, id(1)).expect("deleted");
    home.root
        .delete(&at("other"), None, id(2))
        .expect("deleted");
    let items = home.root.trash(None, 10).expect("a list");
    let paths: Vec<String> = items
        .iter()
        .map(|item| item.entry.path.to_string())
        .collect();
    assert_eq!(paths, ["other", "d"]);
    assert_eq!(home.root.trash(Some(id(2)), 10).expect("a list").len(), 1);
    home.put("d", "in the way");
    let error = home.root.restore(id(1), None).expect_err("refused");
    assert!(matches!(error, Error::AlreadyExists(_)));
    home.root
        .restore(id(1), Some(&at("new/d")))
        .expect("restored");
    assert_eq!(home.text("new/d/file"), "x");
    assert!(matches!(
        home.root.restore(id(1), None),
        Err(Error::NotFound)
    ));
    assert_eq!(home.root.purge(Some(2)).expect("purged"), 0);
    assert_eq!(home.root.purge(Some(3)).expect("purged"), 1);
    assert!(home.root.trash(None, 10).expect("a list").is_empty() && home.is_tidy());
    let counted = home.usage.known();
    assert_eq!(home.root.measure(Amount::default()).ok(), counted);
}

#[test]
fn a_tree_too_deep_for_any_path_is_thrown_away_all_the_same() {
    let home = Home::new();
    let mut directory = crate::support::open(&home.at(""));
    for _ in 0..3_000 {
        directory.create_dir("d").expect("made");
        directory = directory.open_dir("d").expect("opened");
    }
    directory.write("file", "x").expect("written");
    directory
        .set_permissions(
            ".",
            cap_std::fs::Permissions::from_std(fs::Permissions::from_mode(0o500)),
        )
        .expect("bits");
    drop(directory);
    home.root.measure(Amount::default()).expect("measured");
    assert!(home.root.copy(&at("d"), &at("copy")).is_err());
    home.root.delete(&at("d"), None, id(1)).expect("deleted");
    assert_eq!(home.root.purge(None).expect("purged"), 1);
    assert!(home.is_tidy());
}

#[test]
fn no_operation_goes_over_a_quota() {
    let home = Home::with_quota(Quota {
        max_bytes: 100,
        max_entries: 5,
    });
    home.put("a", &"x".repeat(60));
    let over = home.root.write(&at("b"), &[0; 41], &Condition::None);
    assert!(matches!(over, Err(Error::QuotaBytes { limit: 100 })));
    assert!(matches!(
        home.root.copy(&at("a"), &at("b")),
        Err(Error::QuotaBytes { .. })
    ));
    let archive = zip(&[file("b", &[7; 50])]);
    let unpacked = home
        .root
        .unpack(Cursor::new(archive), &at(""), &Limits::default());
    assert!(matches!(unpacked, Err(Error::QuotaBytes { .. })));
    home.root
        .create_directory(&at("1/2/3/4"))
        .expect("five entries");
    let over = home.root.create_directory(&at("5"));
    assert!(matches!(over, Err(Error::QuotaEntries { limit: 5 })));
    let unpacked = home.root.unpack(
        Cursor::new(zip(&[file("b", b"")])),
        &at(""),
        &Limits::default(),
    );
    assert!(matches!(unpacked, Err(Error::QuotaEntries { .. })));
    home.root.delete(&at("a"), None, id(1)).expect("deleted");
    let still = home.root.write(&at("b"), &[0; 41], &Condition::None);
    assert!(matches!(
        still,
        Err(Error::QuotaBytes { .. } | Error::QuotaEntries { .. })
    ));
    home.root.purge(None).expect("purged");
    home.root
        .write(&at("b"), &[0; 41], &Condition::None)
        .expect("room again");
    assert!(home.is_tidy());
}

#[test]
fn an_archive_is_unpacked_beside_what_is_there_or_not_at_all() {
    let home = Home::new();
    let bytes = zip(&[
        file("d/x", b"1"),
        file("y", b"2"),
        directory("empty/"),
        link("l", "d/x"),
    ]);
    let unpack = |path: &str| {
        home.root
            .unpack(Cursor::new(bytes.clone()), &at(path), &Limits::default())
    };
    let (entry, summary) = unpack("new/place").expect("unpacked");
    assert_eq!((entry.kind, summary.files), (Kind::Directory, 2));
    home.put("mine", "x");
    unpack("").expect("unpacked");
    assert_eq!(home.names(""), ["d", "empty", "new", "l", "mine", "y"]);
    home.root.create_directory(&at("half/empty")).expect("made");
    let error = unpack("half").expect_err("refused");
    assert!(matches!(error, Error::AlreadyExists(path) if path == at("half/empty")));
    assert_eq!(home.names("half"), ["half/empty"]);
    assert!(matches!(unpack("mine"), Err(Error::NotADirectory(_))));
    assert!(home.is_tidy());
    let counted = home.usage.known();
    assert_eq!(home.root.measure(Amount::default()).ok(), counted);
}

#[test]
fn a_kill_in_the_middle_leaves_the_old_tree_or_the_new_one() {
    for placed in [false, true] {
        let home = Home::new();
        home.put("d/mine", "x");
        let name = if placed { "placing" } else { "built" };
        let own = home.directory.path().join("staging/new-0");
        fs::create_dir_all(own.join(name)).expect("a directory");
        fs::write(own.join("into"), "d").expect("a file");
        fs::write(own.join(name).join("rest"), "y").expect("a file");
        // Only a new workspace has an import in it; here the name is an agent's.
        fs::create_dir(home.at(".membrane-import")).expect("a directory");
        home.root.recover().expect("recovered");
        assert!(home.at(".membrane-import").exists());
        assert_eq!(home.names("d").len(), if placed { 2 } else { 1 });
        assert!(home.is_tidy());
    }
}

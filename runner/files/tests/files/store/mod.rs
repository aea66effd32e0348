//! The content-addressed store: what it keeps, what it sees of a tree, and what it lets go.

mod blobs;
mod changes;
mod collecting;
mod manifests;
mod restoring;
mod scanning;

use crate::support::{Place, open};
use membrane_files::TreePath;
use membrane_files::store::{Digest, Manifest, Node, Scan, ScanOptions, Store, scan};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// A tree and its store, beside each other.
struct Workspace {
    tree: Place,
    store: Store,
    place: Place,
}

impl Workspace {
    fn new() -> Self {
        let (tree, place) = (Place::new(), Place::new());
        let store = Store::open(open(place.path())).expect("a store");
        Self { tree, store, place }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.tree.path().join(path)
    }

    /// Writes a file, making its directories.
    fn write(&self, path: &str, contents: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, contents).expect("a file");
    }

    /// Scans as a caller would, long after everything was written.
    fn scan(&self) -> Scan {
        self.scan_with(&ScanOptions::default())
    }

    fn scan_with(&self, options: &ScanOptions<'_>) -> Scan {
        let mut cache = self.store.read_index().expect("an index");
        let scanned = scan(&self.tree.handle, &self.store, &mut cache, later(), options);
        self.store.write_index(&cache).expect("an index");
        scanned.expect("a scan")
    }

    fn manifest(&self) -> Manifest {
        self.scan().manifest
    }

    /// The names in a directory of the store.
    fn stored(&self, directory: &str) -> Vec<String> {
        names(&self.place.path().join(directory))
    }
}

/// Tells another thread to end, also when this one fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "files have the machine's time")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// A time at which what was written just now is old.
fn later() -> SystemTime {
    now() + Duration::from_secs(3_600)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn path(text: &str) -> TreePath {
    text.parse().expect("a path")
}

fn file(contents: &str) -> Node {
    Node::File {
        digest: Digest::of(contents.as_bytes()),
        size: contents.len() as u64,
        executable: false,
    }
}

/// The entries as text, one a line.
fn listing(manifest: &Manifest) -> Vec<String> {
    let entries = manifest.entries().iter();
    entries.map(|entry| entry.path.to_string()).collect()
}

/// What was skipped, with the reason.
fn skipped(manifest: &Manifest) -> Vec<String> {
    let skipped = manifest.skipped().iter();
    skipped
        .map(|one| format!("{} {:?}", one.path, one.why))
        .collect()
}

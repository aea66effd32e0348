//! What goes when nobody needs it, and what stays.

use super::{Ending, Workspace, later, now};
use membrane_files::store::{Digest, StatCache, Store, StoreError, collect};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

const MINUTE: Duration = Duration::from_secs(60);

fn make_old(path: &std::path::Path) {
    let file = fs::File::options().append(true).open(path).expect("a file");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("a time");
}

/// Where contents are.
fn place(workspace: &Workspace, digest: &Digest) -> std::path::PathBuf {
    let text = digest.to_string();
    let digits = text.strip_prefix("blake3:").expect("a digest");
    let blobs = workspace.place.path().join("blobs");
    blobs.join(&digits[..2]).join(&digits[2..])
}

#[test]
fn only_what_no_root_needs_goes() {
    let workspace = Workspace::new();
    workspace.write("kept", "kept");
    workspace.write("d/gone", "gone");
    let store = &workspace.store;
    let first = store.save_manifest(&workspace.manifest()).expect("saved");
    fs::remove_file(workspace.path("d/gone")).expect("removed");
    let second = store.save_manifest(&workspace.manifest()).expect("saved");
    let both = collect(store, [first, second], later(), MINUTE).expect("collected");
    assert_eq!((both.blobs, both.bytes), (0, 0));
    let size = store.size(&first).expect("a size");
    let one = collect(store, [second], later(), MINUTE).expect("collected");
    assert_eq!((one.blobs, one.bytes), (2, 4 + size));
    assert!(!store.contains(&Digest::of(b"gone")).expect("seen"));
    assert_eq!(store.read(&Digest::of(b"kept"), 9).expect("read"), b"kept");
}

#[test]
fn what_the_index_trusts_stays() {
    let workspace = Workspace::new();
    workspace.write("f", "trusted");
    workspace.manifest();
    collect(&workspace.store, [], later(), MINUTE).expect("collected");
    let digest = Digest::of(b"trusted");
    assert!(workspace.store.contains(&digest).expect("seen"));
    let forgotten = workspace.store.write_index(&StatCache::default());
    forgotten.expect("an index");
    collect(&workspace.store, [], later(), MINUTE).expect("collected");
    assert!(!workspace.store.contains(&digest).expect("seen"));
}

#[test]
fn what_is_new_or_was_put_once_more_is_spared() {
    let workspace = Workspace::new();
    let store = &workspace.store;
    let new = store.put_bytes(b"new").expect("put");
    let again = store.put_bytes(b"again").expect("put");
    let old = store.put_bytes(b"old").expect("put");
    for digest in [&again, &old] {
        make_old(&place(&workspace, digest));
    }
    store.put_bytes(b"again").expect("put");
    let leftover = workspace.place.path().join("tmp/1-1");
    fs::write(&leftover, "half").expect("a leftover");
    let collected = collect(store, [], now(), MINUTE).expect("collected");
    assert_eq!((collected.blobs, collected.bytes), (1, 3));
    for (digest, there) in [(new, true), (again, true), (old, false)] {
        assert_eq!(store.contains(&digest).expect("seen"), there);
    }
    make_old(&leftover);
    let collected = collect(store, [], now(), MINUTE).expect("collected");
    assert_eq!(collected.blobs, 1);
    assert!(!leftover.exists());
}

#[test]
fn nothing_goes_when_a_root_is_missing_or_damaged() {
    let workspace = Workspace::new();
    let store = &workspace.store;
    let kept = store.put_bytes(b"kept").expect("put");
    let absent = collect(store, [Digest::of(b"absent")], later(), MINUTE);
    assert!(matches!(absent, Err(StoreError::Missing { .. })));
    workspace.write("f", "x");
    let root = store.save_manifest(&workspace.manifest()).expect("saved");
    fs::write(place(&workspace, &root), "nonsense").expect("damaged");
    let damaged = collect(store, [root], later(), MINUTE);
    assert!(matches!(damaged, Err(StoreError::Damaged { .. })));
    let other = collect(store, [kept], later(), MINUTE);
    assert!(matches!(other, Err(StoreError::NotAManifest { .. })));
    assert!(store.contains(&kept).expect("seen"));
}

#[test]
fn what_is_put_while_others_collect_is_there() {
    let workspace = Workspace::new();
    let done = AtomicBool::new(false);
    let open = || Store::open(crate::support::open(workspace.place.path())).expect("a store");
    thread::scope(|scope| {
        scope.spawn(|| {
            let store = open();
            while !done.load(Ordering::Relaxed) {
                collect(&store, [], now(), MINUTE).expect("collected");
            }
        });
        let _ending = Ending(&done);
        let store = open();
        for n in 0_u32..400 {
            let contents = (n % 7).to_le_bytes();
            let digest = store.put_bytes(&contents).expect("put");
            let read = store.read(&digest, 9).expect("what was put is there");
            assert_eq!(read, contents);
            // As if it had been there for long: it may go, and is put once more.
            let path = place(&workspace, &digest);
            if let Ok(file) = fs::File::options().append(true).open(path) {
                file.set_modified(SystemTime::UNIX_EPOCH).expect("a time");
            }
        }
    });
    assert!(workspace.stored("tmp").is_empty());
}

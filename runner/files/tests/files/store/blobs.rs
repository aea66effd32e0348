//! Contents in and out.

use super::Workspace;
use membrane_files::store::{Digest, StoreError};
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};

/// More than is held in memory while it is stored.
fn large() -> Vec<u8> {
    (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn contents_come_back_as_they_were() {
    let workspace = Workspace::new();
    let edge = large()[..128 << 10].to_vec();
    for contents in [&b""[..], b"a", &edge[1..], &edge, &large()] {
        let (digest, bytes) = workspace.store.put(contents).expect("put");
        assert_eq!(
            (digest, bytes),
            (Digest::of(contents), contents.len() as u64)
        );
        assert_eq!(
            workspace.store.read(&digest, bytes).expect("read"),
            contents
        );
        assert_eq!(workspace.store.size(&digest).expect("a size"), bytes);
        assert!(workspace.store.contains(&digest).expect("seen"));
    }
    assert!(workspace.stored("tmp").is_empty());
}

#[test]
fn contents_can_be_read_from_the_middle() {
    let workspace = Workspace::new();
    let digest = workspace.store.put_bytes(b"0123456789").expect("put");
    let mut blob = workspace.store.get(&digest).expect("a blob");
    blob.seek(SeekFrom::Start(4)).expect("sought");
    let mut text = String::new();
    blob.read_to_string(&mut text).expect("read");
    assert_eq!((text.as_str(), blob.len()), ("456789", 10));
}

#[test]
fn missing_damaged_and_large_contents_are_told_apart() {
    let workspace = Workspace::new();
    let store = &workspace.store;
    let digest = store.put_bytes(b"whole").expect("put");
    let limited = store.read(&digest, 4);
    assert!(matches!(
        limited,
        Err(StoreError::TooLarge {
            bytes: 5,
            limit: 4,
            ..
        })
    ));
    let absent = Digest::of(b"absent");
    assert!(
        matches!(store.read(&absent, 9), Err(StoreError::Missing { digest }) if digest == absent)
    );
    assert!(!store.contains(&absent).expect("seen"));
    damage(&workspace, b"w-ole");
    assert!(matches!(
        store.read(&digest, 9),
        Err(StoreError::Damaged { .. })
    ));
}

#[test]
fn contents_that_lost_their_end_are_stored_anew() {
    let workspace = Workspace::new();
    let digest = workspace.store.put_bytes(b"whole").expect("put");
    damage(&workspace, b"");
    workspace.store.put_bytes(b"whole").expect("put");
    assert_eq!(workspace.store.read(&digest, 9).expect("read"), b"whole");
}

/// Overwrites the only contents there are.
fn damage(workspace: &Workspace, contents: &[u8]) {
    let shard = workspace
        .place
        .path()
        .join("blobs")
        .join(&workspace.stored("blobs")[0]);
    let name = &super::names(&shard)[0];
    fs::write(shard.join(name), contents).expect("damaged");
}

#[test]
fn a_reader_that_fails_leaves_nothing() {
    struct Failing(usize);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(buffer.len())
        }
    }
    let workspace = Workspace::new();
    for reads in [0, 9, 100] {
        let put = workspace.store.put(Failing(reads));
        assert!(matches!(put, Err(StoreError::Source(_))));
    }
    assert!(workspace.stored("tmp").is_empty() && workspace.stored("blobs").is_empty());
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let workspace = Workspace::new();
    let digest = workspace.store.put_bytes(b"kept").expect("put");
    fs::write(workspace.place.path().join("tmp/123-4"), "half").expect("a leftover");
    workspace.store.recover().expect("recovered");
    assert!(workspace.stored("tmp").is_empty());
    assert_eq!(workspace.store.read(&digest, 9).expect("read"), b"kept");
}

//! Manifests as values and as bytes.

use super::{Workspace, file, path};
use membrane_files::TreePath;
use membrane_files::store::{
    Digest, Entry, Manifest, ManifestError, Node, Skipped, StoreError, Why,
};
use proptest::prelude::*;

fn entry(text: &str, node: Node) -> Entry {
    let path = path(text);
    Entry { path, node }
}

fn example() -> Manifest {
    let target = b"../\xff".to_vec();
    let entries = vec![
        entry("b", Node::Symlink { target }),
        entry("a/x", file("x")),
        entry("a", Node::Directory),
        entry("a/xy", file("")),
    ];
    let why = Why::Special;
    let path = path("a/pipe");
    Manifest::new(entries, vec![Skipped { path, why }]).expect("a manifest")
}

#[test]
fn a_manifest_is_stored_and_comes_back() {
    let workspace = Workspace::new();
    let digest = workspace.store.save_manifest(&example()).expect("saved");
    assert_eq!(
        workspace.store.load_manifest(&digest).expect("loaded"),
        example()
    );
    let other = workspace.store.put_bytes(b"no manifest").expect("put");
    let loaded = workspace.store.load_manifest(&other);
    assert!(matches!(
        loaded,
        Err(StoreError::NotAManifest {
            source: ManifestError::Magic,
            ..
        })
    ));
}

#[test]
fn a_tree_that_cannot_be_is_no_manifest() {
    let new = |entries| Manifest::new(entries, Vec::new()).expect_err("refused");
    let twice = vec![entry("a", file("")), entry("a", file("x"))];
    assert_eq!(new(twice), ManifestError::Order);
    let through_file = vec![entry("a", file("")), entry("a/b", file(""))];
    assert_eq!(new(through_file), ManifestError::NoDirectory);
    assert_eq!(
        new(vec![entry("a/b", file(""))]),
        ManifestError::NoDirectory
    );
    let top = vec![entry("", Node::Directory)];
    assert_eq!(new(top), ManifestError::Top);
    let target = Vec::new();
    assert_eq!(
        new(vec![entry("a", Node::Symlink { target })]),
        ManifestError::Target
    );
}

/// A manifest of directories with these paths, each as its shared bytes and the rest.
fn encoded(paths: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = b"MBRNTREE\x01".to_vec();
    bytes.push(paths.len() as u8);
    for (shared, rest) in paths {
        bytes.extend([*shared, rest.len() as u8]);
        bytes.extend_from_slice(rest);
        bytes.push(0);
    }
    bytes.push(0);
    bytes
}

#[test]
fn hostile_bytes_are_no_manifest() {
    let accepted = encoded(&[(0, b"a"), (1, b"/b"), (2, b"c")]);
    assert_eq!(
        Manifest::decode(&accepted)
            .expect("a manifest")
            .entries()
            .len(),
        3
    );
    let refused: [&[(u8, &[u8])]; 10] = [
        &[(0, b"..")],
        &[(0, b"/a")],
        &[(0, b"a/")],
        &[(0, b"a\0")],
        &[(0, b"")],
        &[(1, b"a")],
        &[(0, b"b"), (0, b"a")],
        &[(0, b"a"), (1, b"")],
        &[(0, b"ab"), (0, b"ac")],
        &[(0, b".membrane-import")],
    ];
    for paths in refused {
        assert!(Manifest::decode(&encoded(paths)).is_err(), "{paths:?}");
    }
    let huge = b"MBRNTREE\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(Manifest::decode(huge), Err(ManifestError::Malformed));
    let newer = Manifest::decode(b"MBRNTREE\x02");
    assert_eq!(newer, Err(ManifestError::Version(2)));
    let trailing = [&accepted[..], b"x"].concat();
    assert_eq!(Manifest::decode(&trailing), Err(ManifestError::Malformed));
}

fn nodes() -> impl Strategy<Value = Node> {
    let file = (any::<[u8; 32]>(), any::<u64>(), any::<bool>());
    prop_oneof![
        Just(Node::Directory),
        file.prop_map(|(bytes, size, executable)| Node::File {
            digest: Digest::from_bytes(bytes),
            size,
            executable,
        }),
        prop::collection::vec(1..=u8::MAX, 1..9).prop_map(|target| Node::Symlink { target }),
    ]
}

/// Trees of which some cannot be, since names repeat and files are directories.
fn manifests() -> impl Strategy<Value = Manifest> {
    let name = prop::collection::vec(any::<u8>(), 1..4);
    let entries = prop::collection::btree_map(name, nodes(), 0..20);
    entries.prop_filter_map("a tree that cannot be", |entries| {
        let entries = entries.into_iter().filter_map(|(path, node)| {
            let path = TreePath::from_bytes(&path).ok()?;
            Some(Entry { path, node })
        });
        let entries: Vec<Entry> = entries.collect();
        let skipped = entries.iter().map(|entry| Skipped {
            path: entry.path.clone(),
            why: Why::TooDeep,
        });
        let skipped = skipped.collect();
        Manifest::new(entries, skipped).ok()
    })
}

proptest! {
    #[test]
    fn a_manifest_comes_back_as_it_was(manifest in manifests()) {
        prop_assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
    }

    #[test]
    fn bytes_that_decode_are_the_one_encoding(
        manifest in manifests(),
        at in any::<prop::sample::Index>(),
        byte: u8,
        cut: bool,
    ) {
        let mut bytes = manifest.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        if let Ok(manifest) = Manifest::decode(&bytes) {
            prop_assert_eq!(manifest.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Manifest::decode(&[b"MBRNTREE\x01", &bytes[..]].concat());
    }
}

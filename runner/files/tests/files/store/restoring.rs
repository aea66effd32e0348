//! Putting back what was recorded.

use super::{Workspace, file, path};
use crate::support::Place;
use membrane_files::store::{
    Digest, Manifest, Node, RestoreError, Store, StoreError, compare, restore_file,
};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn restore_all(store: &Store, manifest: &Manifest, place: &Place) {
    for entry in manifest.entries() {
        restore_file(store, &entry.node, &place.handle, &entry.path).expect("restored");
    }
}

#[test]
fn a_restored_manifest_is_the_tree_again() {
    let workspace = Workspace::new();
    workspace.write("a/b/c", "text");
    workspace.write("a/run", "run");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(workspace.path("a/run"), mode).expect("a mode");
    workspace.write("large", &"0123456789".repeat(100_000));
    fs::create_dir(workspace.path("empty")).expect("a directory");
    symlink("../outside", workspace.path("a/link")).expect("a link");
    let manifest = workspace.manifest();
    let copy = Place::new();
    restore_all(&workspace.store, &manifest, &copy);
    assert_eq!(copy.tree(), workspace.tree.tree());
    // Onto itself as well, where everything is in the way.
    restore_all(&workspace.store, &manifest, &copy);
    assert_eq!(copy.tree(), workspace.tree.tree());
}

#[test]
fn changes_are_discarded_by_restoring_what_was_before() {
    let workspace = Workspace::new();
    workspace.write("a/modified", "before");
    workspace.write("deep/er/deleted", "before");
    symlink("a", workspace.path("link")).expect("a link");
    let (before, tree) = (workspace.manifest(), workspace.tree.tree());
    workspace.write("a/modified", "after");
    fs::remove_dir_all(workspace.path("deep")).expect("removed");
    fs::remove_file(workspace.path("link")).expect("removed");
    fs::create_dir(workspace.path("link")).expect("a directory");
    for change in compare(&before, &workspace.manifest()) {
        let node = change.before.expect("nothing was added");
        let tree = &workspace.tree.handle;
        restore_file(&workspace.store, &node, tree, &change.path).expect("restored");
    }
    assert_eq!(workspace.tree.tree(), tree);
}

#[test]
fn a_link_in_the_way_is_never_followed() {
    let workspace = Workspace::new();
    let digest = workspace.store.put_bytes(b"text").expect("put");
    let outside = Place::new();
    fs::write(outside.path().join("f"), "outside").expect("a file");
    let before = outside.tree();
    symlink(outside.path(), workspace.path("d")).expect("a link");
    symlink(outside.path().join("f"), workspace.path("f")).expect("a link");
    let restore = |text: &str, node: &Node| {
        restore_file(&workspace.store, node, &workspace.tree.handle, &path(text))
    };
    let beneath = restore("d/f", &file("text"));
    assert!(matches!(beneath, Err(RestoreError::NotADirectory(_))));
    restore("f", &file("text")).expect("restored");
    assert_eq!(fs::read(workspace.path("f")).expect("read"), b"text");
    restore("d", &Node::Directory).expect("restored");
    restore("d/f", &file("text")).expect("restored");
    assert_eq!(fs::read(workspace.path("d/f")).expect("read"), b"text");
    assert_eq!(outside.tree(), before, "written outside");
    assert!(workspace.store.contains(&digest).expect("seen"));
}

#[test]
fn what_cannot_be_restored_leaves_the_tree_as_it_was() {
    let workspace = Workspace::new();
    workspace.write("f", "stays");
    workspace.write("d/x", "stays");
    let tree = workspace.tree.tree();
    let digest = workspace.store.put_bytes(b"text").expect("put");
    let restore = |text: &str, node: &Node| {
        restore_file(&workspace.store, node, &workspace.tree.handle, &path(text))
    };
    assert!(matches!(
        restore("", &Node::Directory),
        Err(RestoreError::Top)
    ));
    assert!(matches!(
        restore("d", &file("text")),
        Err(RestoreError::NotEmpty(_))
    ));
    let absent = restore("f", &file("absent"));
    assert!(matches!(
        absent,
        Err(RestoreError::Store(StoreError::Missing { .. }))
    ));
    let text = digest.to_string();
    let blob = format!("blobs/{}/{}", &text[7..9], &text[9..]);
    fs::write(workspace.place.path().join(blob), "t-xt").expect("damaged");
    let damaged = restore("f", &file("text"));
    assert!(matches!(
        damaged,
        Err(RestoreError::Store(StoreError::Damaged { .. }))
    ));
    assert_eq!(Digest::of(b"text"), digest);
    assert_eq!(workspace.tree.tree(), tree);
}

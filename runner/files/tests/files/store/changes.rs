//! What changed between two trees.

use super::{Workspace, file, path};
use membrane_files::store::{Change, ChangeKind, Manifest, ScanOptions, compare, find_renames};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// Changes as text, one a line.
fn told(changes: &[Change]) -> Vec<String> {
    let tell = |change: &Change| match &change.kind {
        ChangeKind::Renamed { from, similarity } => {
            format!("{} Renamed {similarity}% from {from}", change.path)
        }
        kind => format!("{} {kind:?}", change.path),
    };
    changes.iter().map(tell).collect()
}

/// Scans before and after something is done to a tree.
fn around(workspace: &Workspace, work: impl FnOnce()) -> (Manifest, Manifest) {
    let before = workspace.manifest();
    work();
    (before, workspace.manifest())
}

#[test]
fn each_kind_of_change_is_told_in_the_order_of_paths() {
    let workspace = Workspace::new();
    for name in ["deleted", "modified", "mode", "type", "d/old"] {
        workspace.write(name, &format!("contents of {name}\n"));
    }
    let (before, after) = around(&workspace, || {
        fs::remove_file(workspace.path("deleted")).expect("removed");
        workspace.write("modified", "other");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(workspace.path("mode"), mode).expect("a mode");
        fs::remove_file(workspace.path("type")).expect("removed");
        symlink("mode", workspace.path("type")).expect("a link");
        workspace.write("added", "something new");
        fs::rename(workspace.path("d/old"), workspace.path("new")).expect("renamed");
    });
    let changes = compare(&before, &after);
    let expected = [
        "added Added",
        "deleted Deleted",
        "mode ModeChanged",
        "modified Modified",
        "new Renamed 100% from d/old",
        "type TypeChanged",
    ];
    assert_eq!(told(&changes), expected);
    assert_eq!(changes[1].before, Some(file("contents of deleted\n")));
    assert_eq!(changes[1].after, None);
    assert_eq!(changes[4].before, changes[4].after);
    assert!(compare(&after, &after).is_empty());
}

#[test]
fn directories_count_only_when_they_are_empty() {
    let workspace = Workspace::new();
    workspace.write("full/x", "x");
    for name in ["gone", "filled", "turned"] {
        fs::create_dir(workspace.path(name)).expect("a directory");
    }
    let (before, after) = around(&workspace, || {
        fs::remove_dir_all(workspace.path("full")).expect("removed");
        fs::remove_dir(workspace.path("gone")).expect("removed");
        fs::remove_dir(workspace.path("turned")).expect("removed");
        workspace.write("turned", "a file");
        workspace.write("filled/y", "y");
        fs::create_dir_all(workspace.path("new/empty")).expect("directories");
    });
    let expected = [
        "filled/y Added",
        "full/x Deleted",
        "gone Deleted",
        "new/empty Added",
        "turned TypeChanged",
    ];
    assert_eq!(told(&compare(&before, &after)), expected);
}

#[test]
fn nothing_is_said_about_what_was_skipped() {
    let workspace = Workspace::new();
    workspace.write("grows", "x");
    workspace.write("cache/x", "x");
    let before = workspace.manifest();
    workspace.write("grows", "larger");
    workspace.write(
        "cache/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55",
    );
    let options = ScanOptions {
        max_file_bytes: 5,
        ..ScanOptions::default()
    };
    let after = workspace.scan_with(&options).manifest;
    assert!(compare(&before, &after).is_empty());
    assert!(compare(&after, &before).is_empty());
}

#[test]
fn equal_contents_are_renamed_only_where_it_is_clear_which() {
    let workspace = Workspace::new();
    for name in ["a", "b"] {
        workspace.write(name, "same");
    }
    workspace.write("empty", "");
    let (before, after) = around(&workspace, || {
        for name in ["a", "b", "empty"] {
            let to = workspace.path(&format!("new-{name}"));
            fs::rename(workspace.path(name), to).expect("renamed");
        }
    });
    let kinds: Vec<ChangeKind> = compare(&before, &after)
        .into_iter()
        .map(|change| change.kind)
        .collect();
    let deleted_then_added = [
        [
            ChangeKind::Deleted,
            ChangeKind::Deleted,
            ChangeKind::Deleted,
        ],
        [ChangeKind::Added, ChangeKind::Added, ChangeKind::Added],
    ];
    assert_eq!(kinds, deleted_then_added.concat());
}

fn lines(numbers: impl Iterator<Item = u32>) -> String {
    numbers.map(|n| format!("line {n}\n")).collect()
}

#[test]
fn similar_text_is_renamed_the_most_similar_first() {
    let workspace = Workspace::new();
    workspace.write("old", &lines(100..200));
    workspace.write("other", "nothing of it\n");
    workspace.write("binary", &format!("\0{}", lines(300..400)));
    let (before, after) = around(&workspace, || {
        for name in ["old", "other", "binary"] {
            fs::remove_file(workspace.path(name)).expect("removed");
        }
        workspace.write("copy-60", &lines(140..240));
        workspace.write("copy-90", &lines(110..210));
        workspace.write("copy-binary", &format!("\0{}", lines(300..401)));
        workspace.write("unlike", "something else\n");
    });
    let changes = find_renames(compare(&before, &after), &workspace.store).expect("looked at");
    let expected = [
        "binary Deleted",
        "copy-60 Added",
        "copy-90 Renamed 90% from old",
        "copy-binary Added",
        "other Deleted",
        "unlike Added",
    ];
    assert_eq!(told(&changes), expected);
    assert_eq!(changes[2].before, before.get(&path("old")).cloned());
}

#[test]
fn contents_that_are_gone_are_similar_to_nothing() {
    let workspace = Workspace::new();
    workspace.write("old", &lines(0..50));
    let (before, after) = around(&workspace, || {
        fs::remove_file(workspace.path("old")).expect("removed");
        workspace.write("new", &lines(1..50));
    });
    fs::remove_dir_all(workspace.place.path().join("blobs")).expect("removed");
    fs::create_dir(workspace.place.path().join("blobs")).expect("a directory");
    let store = membrane_files::store::Store::open(crate::support::open(workspace.place.path()));
    let changes = find_renames(compare(&before, &after), &store.expect("a store"));
    assert_eq!(
        told(&changes.expect("looked at")),
        ["new Added", "old Deleted"]
    );
}

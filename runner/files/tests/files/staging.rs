//! All or nothing, also across a kill.

use crate::raw::{directory, file, zip};
use crate::support::{Place, import};
use membrane_files::{Fault, Limits, RESERVED_NAMES, Recovery, import_directory, recover};
use std::fs;

const BUILDING: &str = ".membrane-import";
const COMMITTING: &str = ".membrane-commit";

#[test]
fn a_destination_that_is_not_empty_is_left_alone() {
    let place = Place::new();
    fs::write(place.path().join("mine"), "x").expect("a file");
    let before = place.tree();
    let error = import(&zip(&[file("a", b"1")]), &place).expect_err("not empty");
    assert_eq!(error.reason(), "ARCHIVE_DESTINATION_NOT_EMPTY");
    assert_eq!(error.fault(), Fault::Destination);
    assert_eq!(place.tree(), before);
    let source = Place::new();
    let error = import_directory(&source.handle, &place.handle, &Limits::default());
    assert_eq!(
        error.expect_err("not empty").reason(),
        "ARCHIVE_DESTINATION_NOT_EMPTY"
    );
    assert_eq!(place.tree(), before);
}

#[test]
fn an_unfinished_import_locks_the_destination_until_it_is_recovered() {
    for name in RESERVED_NAMES {
        let place = Place::new();
        fs::create_dir(place.path().join(name)).expect("a directory");
        let error = import(&zip(&[file("a", b"1")]), &place).expect_err("unfinished");
        assert_eq!(error.reason(), "ARCHIVE_IMPORT_UNFINISHED");
        assert_ne!(recover(&place.handle).expect("recovery"), Recovery::Clean);
        import(&zip(&[file("a", b"1")]), &place).expect("an empty destination");
        assert_eq!(recover(&place.handle).expect("recovery"), Recovery::Clean);
        assert_eq!(place.tree().len(), 1);
    }
}

#[test]
fn a_kill_before_the_archive_was_accepted_leaves_the_old_tree() {
    let place = Place::new();
    fs::create_dir_all(place.path().join(BUILDING).join("d/half")).expect("directories");
    fs::write(place.path().join(BUILDING).join("d/x"), "half a fi").expect("a file");
    assert_eq!(recover(&place.handle).expect("recovery"), Recovery::Removed);
    assert!(place.tree().is_empty());
}

#[test]
fn a_kill_after_the_archive_was_accepted_leaves_the_new_tree() {
    let wanted = Place::new();
    let bytes = zip(&[
        directory("a/"),
        file("b/x", b"1"),
        file("c", b"2"),
        file("d", b"3"),
    ]);
    import(&bytes, &wanted).expect("an acceptable archive");
    // However many of the four entries had been moved when the process died.
    for moved in 0..=4 {
        let place = Place::new();
        import(&bytes, &place).expect("an acceptable archive");
        let hidden = place.path().join(COMMITTING);
        fs::create_dir(&hidden).expect("a directory");
        for name in &["a", "b", "c", "d"][moved..] {
            fs::rename(place.path().join(name), hidden.join(name)).expect("a move");
        }
        assert_eq!(
            recover(&place.handle).expect("recovery"),
            Recovery::Completed
        );
        assert_eq!(place.tree(), wanted.tree(), "{moved} moved");
    }
}

#[test]
fn recovery_replaces_nothing() {
    let place = Place::new();
    fs::create_dir(place.path().join(COMMITTING)).expect("a directory");
    fs::write(place.path().join(COMMITTING).join("a"), "old").expect("a file");
    fs::write(place.path().join("a"), "new").expect("a file");
    let before = place.tree();
    let error = recover(&place.handle).expect_err("a place that is taken");
    assert_eq!(error.reason(), "ARCHIVE_DESTINATION_NOT_EMPTY");
    assert_eq!(place.tree(), before);
}

#[test]
fn recovery_follows_no_link() {
    for name in RESERVED_NAMES {
        let outside = Place::new();
        fs::write(outside.path().join("keep"), "x").expect("a file");
        let place = Place::new();
        std::os::unix::fs::symlink(outside.path(), place.path().join(name)).expect("a link");
        let _ = recover(&place.handle);
        assert_eq!(outside.tree().len(), 1);
    }
}

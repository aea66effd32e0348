//! A whole tree in the place of another.

use std::fs;

use membrane_files::root::{Error, Root};

use super::{Home, at};
use crate::support::open;

/// Exchanges the tree for one with these files, which takes over these paths.
fn exchange(home: &Home, files: &[&str], keeps: &[&str]) -> Result<(), Error> {
    let _alone = home.usage.as_a_whole();
    let base = open(&home.beside(""));
    let root = Root::open(base, home.usage.clone()).expect("a root");
    root.exchange(|_, empty| {
        for name in files {
            empty.write(name, "new").expect("written");
        }
        Ok(keeps.iter().map(|path| at(path)).collect())
    })
}

fn names(home: &Home) -> Vec<String> {
    let listed = fs::read_dir(home.at("")).expect("a directory");
    let names = listed.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn the_new_tree_takes_over_what_is_still_there() {
    let home = Home::new();
    home.put("old", "old");
    home.put("deep/kept", "kept");
    exchange(&home, &["new"], &["deep/kept", "gone/meanwhile"]).expect("exchanged");
    assert_eq!(names(&home), ["deep", "gone", "new"]);
    assert_eq!(home.text("deep/kept"), "kept");
    assert!(home.is_tidy());
}

#[test]
fn what_can_not_be_taken_over_leaves_everything_as_it_was() {
    let home = Home::new();
    home.put("first", "taken over first");
    home.put("plain", "a file, and no directory");
    home.put("old", "old");
    let refused = exchange(&home, &["new"], &["first", "plain/beneath"]);
    assert!(
        matches!(refused, Err(Error::NotADirectory(_))),
        "{refused:?}"
    );
    assert_eq!(names(&home), ["first", "old", "plain"]);
    assert_eq!(home.text("first"), "taken over first");
    assert!(home.is_tidy());
}

#[test]
fn something_in_the_way_leaves_everything_as_it_was() {
    let home = Home::new();
    home.put("kept", "old");
    let refused = exchange(&home, &["kept"], &["kept"]);
    assert!(
        matches!(refused, Err(Error::AlreadyExists(_))),
        "{refused:?}"
    );
    assert_eq!(home.text("kept"), "old");
    assert!(home.is_tidy());
}

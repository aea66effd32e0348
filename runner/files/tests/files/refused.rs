//! Hostile archives: each is refused for its own reason, by name, and changes nothing.

use crate::hostile::{Case, all};
use crate::support::{Place, import};
use std::collections::BTreeSet;

#[test]
fn every_hostile_archive_is_refused_for_its_own_reason_and_changes_nothing() {
    let cases = all();
    let distinct: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
    assert_eq!(distinct.len(), cases.len(), "two cases have one name");
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    for case in cases {
        check(&case);
    }
}

fn check(case: &Case) {
    let around = Place::new();
    std::fs::create_dir(around.path().join("destination")).expect("a directory");
    let before = around.tree();
    let mut place = Place::new();
    place.handle = around.handle.open_dir("destination").expect("a handle");
    let error = match import(&case.bytes, &place) {
        Ok(summary) => panic!("{}: accepted with {summary:?}", case.name),
        Err(error) => error,
    };
    assert_eq!(error.reason(), case.reason, "{}: {error}", case.name);
    let text = error.to_string();
    assert!(text.contains(case.shows), "{}: {text}", case.name);
    assert!(
        text.len() < 1000 && !text.contains(char::is_control),
        "{}: {text}",
        case.name
    );
    assert_eq!(around.tree(), before, "{}: something changed", case.name);
}

//! The rules for paths and links as properties.

use crate::raw::{file, link, zip};
use crate::support::{Place, import};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Components that matter, glued by what may stand between them.
fn nasty_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "..", ".", "", "a", "b", "...", "/", "\\", "C:", "\0", "é", "x y", "~", "..\\", "a/..",
    ]);
    let glue = prop::sample::select(vec!["/", "/", "/", "//", "\\", ""]);
    prop::collection::vec((piece, glue), 1..6).prop_map(|parts| {
        parts
            .iter()
            .map(|(piece, glue)| format!("{piece}{glue}"))
            .collect()
    })
}

/// What a path must be to be accepted, said once more and differently.
fn plain(path: &str) -> bool {
    let drive = path.len() > 1 && path.as_bytes()[1] == b':' && path.as_bytes()[0] != b'.';
    !path.contains(['\\', '\0'])
        && !drive
        && path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}

/// Where a path leads; nothing is changed by means of it.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel's own answer is what the rule is compared with"
)]
fn real(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_path_is_accepted_exactly_if_it_is_plain(path in nasty_path()) {
        let place = Place::new();
        let result = import(&zip(&[file(&path, b"x")]), &place);
        prop_assert_eq!(result.is_ok(), plain(&path), "{:?}: {:?}", path, result);
        let expected: Vec<String> = result.map(|_| path).into_iter().collect();
        let files: Vec<String> = place
            .tree()
            .into_iter()
            .filter(|(_, node)| *node != crate::support::Node::Directory)
            .map(|(path, _)| path)
            .collect();
        prop_assert_eq!(files, expected);
    }

    #[test]
    fn no_name_makes_the_importer_panic_or_leave_its_place(name in prop::collection::vec(any::<u8>(), 0..40)) {
        let around = Place::new();
        fs::create_dir(around.path().join("in")).expect("a directory");
        let mut place = Place::new();
        place.handle = around.handle.open_dir("in").expect("a handle");
        let _ = import(&zip(&[crate::raw::Entry::new(&name, crate::raw::FILE, b"x")]), &place);
        let names: Vec<_> = fs::read_dir(around.path()).expect("listing").collect();
        prop_assert_eq!(names.len(), 1);
    }

    /// Whatever links are accepted together, following any of them never leaves the tree.
    #[test]
    fn accepted_links_resolve_within_the_tree(
        links in prop::collection::vec(("[ab]/[cd]|[ef]", "(\\.\\./){0,2}([a-f]/){0,2}[a-f.]"), 1..6)
    ) {
        let place = Place::new();
        let entries: Vec<_> = links.iter().map(|(path, target)| link(path, target)).collect();
        if import(&zip(&entries), &place).is_ok() {
            let root = real(place.path()).expect("a path");
            for (path, _) in &links {
                if let Ok(end) = real(&place.path().join(path)) {
                    prop_assert!(end.starts_with(&root), "{path} leads to {end:?}");
                }
            }
        }
    }
}

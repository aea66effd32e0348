//! Searching a tree by name and by content.

use crate::root::{Home, at};
use membrane_files::search::{Case, FileMatches, Line, Names, Progress, Query, Search, Totals};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Keeps what is found, and wants no more after so many reports.
struct Kept {
    found: Mutex<Vec<FileMatches>>,
    left: AtomicUsize,
}

impl Progress for Kept {
    fn found(&self, matches: FileMatches) -> bool {
        self.found.lock().expect("a lock").push(matches);
        self.left.fetch_sub(1, Ordering::SeqCst) > 1
    }

    fn cancelled(&self) -> bool {
        let left = self.left.load(Ordering::SeqCst);
        left == 0 || left > usize::MAX / 2
    }
}

fn put(home: &Home, path: &str, text: impl AsRef<[u8]>) {
    let path = home.at(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    fs::write(path, text).expect("written");
}

fn query(pattern: &str) -> Query {
    Query {
        pattern: pattern.to_owned(),
        is_regex: false,
        case: Case::Smart,
        words: false,
        include: Vec::new(),
        exclude: Vec::new(),
        path: at(""),
        context: 0,
        max_matches: 1_000,
        include_ignored: false,
    }
}

fn run(home: &Home, query: Query, reports: usize) -> (Vec<FileMatches>, Totals) {
    let kept = Kept {
        found: Mutex::default(),
        left: AtomicUsize::new(reports),
    };
    let search = Search::new(query).expect("a query");
    let totals = search.run(&home.root, &kept).expect("searched");
    let mut found = kept.found.into_inner().expect("a lock");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    (found, totals)
}

fn paths(home: &Home, query: Query) -> Vec<String> {
    let (found, _) = run(home, query, 10_000);
    found.iter().map(|file| file.path.to_string()).collect()
}

#[test]
fn globs_choose_files_and_keep_out_of_directories() {
    let home = Home::new();
    for path in ["a.rs", "src/b.rs", "src/c.txt", "docs/d.rs", "docs/e/f.rs"] {
        put(&home, path, "needle");
    }
    let globs = |include: &[&str], exclude: &[&str]| Query {
        include: include.iter().map(ToString::to_string).collect(),
        exclude: exclude.iter().map(ToString::to_string).collect(),
        ..query("needle")
    };
    assert_eq!(
        paths(&home, globs(&["*.rs"], &["docs/"])),
        ["a.rs", "src/b.rs"]
    );
    assert_eq!(
        paths(&home, globs(&["src/"], &[])),
        ["src/b.rs", "src/c.txt"]
    );
    assert_eq!(paths(&home, globs(&[], &["*.rs"])), ["src/c.txt"]);
}

#[test]
fn capitals_count_if_the_pattern_has_some_and_words_may_have_to_be_whole() {
    let home = Home::new();
    put(&home, "a", "Needle");
    put(&home, "b", "needles");
    assert_eq!(paths(&home, query("needle")), ["a", "b"]);
    assert_eq!(paths(&home, query("Needle")), ["a"]);
    let case = Case::Sensitive;
    assert_eq!(
        paths(
            &home,
            Query {
                case,
                ..query("needle")
            }
        ),
        ["b"]
    );
    let words = true;
    assert_eq!(
        paths(
            &home,
            Query {
                words,
                ..query("needle")
            }
        ),
        ["a"]
    );
    assert_eq!(paths(&home, query("n.*e")), [""; 0]);
}

#[test]
fn lines_come_with_their_neighbours_in_order() {
    let home = Home::new();
    put(&home, "a", "1\n2\nneedle\n4\n5\n6\nneedle\n");
    let (found, totals) = run(
        &home,
        Query {
            context: 1,
            ..query("needle")
        },
        10,
    );
    let lines = found[0].lines.iter();
    let lines: Vec<_> = lines.map(|line| (line.number, line.matched)).collect();
    assert_eq!(
        lines,
        [(2, false), (3, true), (4, false), (6, false), (7, true)]
    );
    assert_eq!(
        (totals.files, totals.matches, totals.truncated),
        (1, 2, false)
    );
}

#[test]
fn what_is_ignored_installed_or_a_cache_is_searched_on_request() {
    let home = Home::new();
    put(&home, ".gitignore", "*.log\n");
    put(
        &home,
        "cache/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55\n",
    );
    let hidden = [".git/a", "b.log", "cache/c", "node_modules/d"];
    for path in hidden.iter().chain(&["kept"]) {
        put(&home, path, "needle");
    }
    assert_eq!(paths(&home, query("needle")), ["kept"]);
    let include_ignored = true;
    let all = paths(
        &home,
        Query {
            include_ignored,
            ..query("needle")
        },
    );
    assert_eq!(
        all,
        [".git/a", "b.log", "cache/c", "kept", "node_modules/d"]
    );
}

#[test]
fn ignore_files_above_the_path_count() {
    let home = Home::new();
    put(&home, ".gitignore", "/src/gen/\n");
    put(&home, "src/gen/a", "needle");
    put(&home, "src/b", "needle");
    assert_eq!(
        paths(
            &home,
            Query {
                path: at("src"),
                ..query("needle")
            }
        ),
        ["src/b"]
    );
    assert_eq!(
        paths(
            &home,
            Query {
                path: at("src/gen/a"),
                ..query("needle")
            }
        ),
        ["src/gen/a"]
    );
}

#[test]
fn matches_are_limited_exactly_and_many_lines_come_in_several_reports() {
    let home = Home::new();
    put(&home, "a", "needle needle\n".repeat(1_000));
    let (found, totals) = run(
        &home,
        Query {
            max_matches: 601,
            ..query("needle")
        },
        10_000,
    );
    let lines: Vec<&Line> = found.iter().flat_map(|file| &file.lines).collect();
    let ranges: usize = lines.iter().map(|line| line.ranges.len()).sum();
    assert_eq!((ranges, totals.matches, totals.truncated), (601, 601, true));
    assert!(found.len() > 1 && found.iter().all(|file| file.lines.len() <= 200));
}

#[test]
fn a_search_that_is_full_with_the_last_line_of_a_file_says_that_there_may_be_more() {
    let home = Home::new();
    for name in ["a", "b", "c"] {
        put(&home, name, "needle\n");
    }
    let at_most = |max_matches| {
        let query = Query {
            max_matches,
            ..query("needle")
        };
        let (_, totals) = run(&home, query, 10);
        (totals.matches, totals.truncated)
    };
    assert_eq!(at_most(1), (1, true));
    assert_eq!(at_most(3), (3, false));
}

#[test]
fn a_search_stops_when_nobody_waits_for_it() {
    let home = Home::new();
    for number in 0..500 {
        put(&home, &format!("file{number}"), "needle\n");
    }
    let (_, totals) = run(&home, query("needle"), 1);
    assert!(totals.files < 10, "{totals:?}");
}

#[test]
fn strange_files_are_passed_over_and_strange_names_are_spelled() {
    let home = Home::new();
    put(&home, "binary", b"needle\0");
    put(&home, "one-line", vec![b'a'; 17 << 20]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        home.at("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("a pipe");
    symlink(home.at("binary"), home.at("link")).expect("a link");
    let strange = std::ffi::OsStr::from_bytes(b"\xff\n\\");
    fs::write(home.at("").join(strange), b"a \xe9 needle").expect("a file");
    let (found, totals) = run(&home, query("needle"), 10);
    assert_eq!(found[0].path.to_string(), "\\xff\n\\\\");
    assert_eq!(found.len(), 1);
    assert!(totals.truncated, "a line was too long");
}

#[test]
fn names_fit_before_directories_and_say_where() {
    let home = Home::new();
    for path in ["main/other.txt", "src/Main.rs", "möbel/main.rs"] {
        put(&home, path, "");
    }
    let names = Names::list(&home.root, false, &|| false).expect("a list");
    let hits = names.find("main", 10);
    let found: Vec<&str> = hits.iter().map(|hit| hit.path.as_str()).collect();
    assert_eq!(
        (found[0], found[3]),
        ("main", "main/other.txt"),
        "{found:?}"
    );
    let hits = names.find("ö m rs", 10);
    let shown: String = hits[0]
        .positions
        .iter()
        .filter_map(|at| hits[0].path.chars().nth(*at))
        .collect();
    assert_eq!(shown, "ömrs");
    assert_eq!(names.find("Main", 10).len(), 1);
    assert_eq!(names.find("", 10), []);
    assert_eq!(names.find("m", 1).len(), 1);
}

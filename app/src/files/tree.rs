//! The tree as a list of rows, and what a key does in it, after the tree pattern of WAI-ARIA.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use membrane_proto::v1 as pb;

use crate::{api::ApiError, path};

/// What is known of one directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Directory {
    /// Its entries as far as they are loaded, in the server's order.
    pub files: Vec<Arc<pb::File>>,
    /// Token of the next page; empty when all are loaded.
    pub next: String,
    /// Why it could not be read.
    pub problem: Option<ApiError>,
}

/// Directories by path.
pub type Directories = HashMap<String, Directory>;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The entry, or the directory for what is no entry.
    pub path: String,
    /// What the row is.
    pub kind: RowKind,
    /// From 1, for the entries at the top.
    pub level: usize,
    /// From 1, among those in the same directory.
    pub position: usize,
    /// Number of those in the same directory, as far as is known.
    pub siblings: usize,
}

impl Row {
    /// Tells it from all others. No path ends in a slash.
    pub fn key(&self) -> String {
        match self.kind {
            RowKind::Directory { .. } | RowKind::File => self.path.clone(),
            RowKind::More | RowKind::Note(_) => format!("{}/", self.path),
        }
    }
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowKind {
    /// A directory, open or not.
    Directory {
        /// Whether its entries follow.
        open: bool,
    },
    /// Anything else.
    File,
    /// Stands for entries that are not loaded yet.
    More,
    /// Says that a directory is being read, is empty, or could not be read.
    Note(&'static str),
}

/// All rows from the top down.
pub fn rows(directories: &Directories, open: &HashSet<String>) -> Vec<Row> {
    let mut rows = Vec::new();
    add("", 1, directories, open, &mut rows);
    rows
}

fn add(path: &str, level: usize, known: &Directories, open: &HashSet<String>, rows: &mut Vec<Row>) {
    let extra = |kind| Row {
        path: path.to_owned(),
        kind,
        level,
        position: 1,
        siblings: 1,
    };
    let Some(directory) = known.get(path) else {
        return rows.push(extra(RowKind::Note("Loading…")));
    };
    if directory.problem.is_some() {
        return rows.push(extra(RowKind::Note("Can not be read")));
    }
    if directory.files.is_empty() && level > 1 {
        return rows.push(extra(RowKind::Note("Empty")));
    }
    let siblings = directory.files.len();
    for (at, file) in directory.files.iter().enumerate() {
        let is_open = open.contains(&file.path);
        let kind = match file.kind() {
            pb::FileKind::Directory => RowKind::Directory { open: is_open },
            _ => RowKind::File,
        };
        rows.push(Row {
            path: file.path.clone(),
            kind,
            level,
            position: at + 1,
            siblings,
        });
        if kind == (RowKind::Directory { open: true }) {
            add(&file.path, level + 1, known, open, rows);
        }
    }
    if !directory.next.is_empty() {
        rows.push(extra(RowKind::More));
    }
}

/// What a key does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The row of this number becomes the active one.
    Move(usize),
    /// The active directory opens or closes.
    Toggle,
    /// The active row is gone to.
    Go,
}

/// What a key does when the row of this number is active. Nothing for keys that mean nothing here.
pub fn key(rows: &[Row], active: usize, key: &str) -> Option<Action> {
    let row = rows.get(active)?;
    let last = rows.len().saturating_sub(1);
    let action = match (key, row.kind) {
        ("ArrowDown", _) => Action::Move((active + 1).min(last)),
        ("ArrowUp", _) => Action::Move(active.saturating_sub(1)),
        ("Home", _) => Action::Move(0),
        ("End", _) => Action::Move(last),
        ("ArrowRight", RowKind::Directory { open: false })
        | ("ArrowLeft", RowKind::Directory { open: true }) => Action::Toggle,
        ("ArrowRight", RowKind::Directory { open: true }) => Action::Move((active + 1).min(last)),
        ("ArrowLeft", _) => Action::Move(above(rows, active)?),
        ("Enter" | " ", _) => Action::Go,
        _ => return None,
    };
    Some(action)
}

/// The row of the directory that a row is in.
fn above(rows: &[Row], active: usize) -> Option<usize> {
    let level = rows.get(active)?.level;
    rows[..active].iter().rposition(|row| row.level < level)
}

/// The next row after the active one whose name begins so, from the top again after the end. What
/// is more than one letter may also stay where it is.
pub fn find(rows: &[Row], active: usize, typed: &str) -> Option<usize> {
    let typed = typed.to_lowercase();
    let skip = usize::from(typed.chars().count() == 1);
    let order = (0..rows.len()).map(|at| (active + skip + at) % rows.len());
    order.into_iter().find(|at| {
        let row = &rows[*at];
        let is_entry = matches!(row.kind, RowKind::Directory { .. } | RowKind::File);
        is_entry && path::name(&row.path).to_lowercase().starts_with(&typed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(paths: &[&str], next: &str) -> Directory {
        let file = |path: &&str| {
            let kind = match path.ends_with('/') {
                true => pb::FileKind::Directory,
                false => pb::FileKind::File,
            };
            Arc::new(pb::File {
                path: path.trim_end_matches('/').to_owned(),
                kind: kind.into(),
                ..Default::default()
            })
        };
        Directory {
            files: paths.iter().map(file).collect(),
            next: next.to_owned(),
            problem: None,
        }
    }

    fn example() -> Vec<Row> {
        let directories = HashMap::from([
            (
                String::new(),
                directory(&["docs/", "src/", "Cargo.toml"], ""),
            ),
            (
                "src".to_owned(),
                directory(&["src/bin/", "src/lib.rs"], "more"),
            ),
            ("src/bin".to_owned(), directory(&[], "")),
        ]);
        let open = ["src", "src/bin", "gone"].map(str::to_owned);
        rows(&directories, &HashSet::from(open))
    }

    fn lines(rows: &[Row]) -> Vec<String> {
        let line = |row: &Row| {
            let mark = match row.kind {
                RowKind::Directory { open: true } => "-",
                RowKind::Directory { open: false } => "+",
                RowKind::File => "",
                RowKind::More => "more of ",
                RowKind::Note(words) => words,
            };
            format!("{}{mark}{}", "  ".repeat(row.level - 1), row.path)
        };
        rows.iter().map(line).collect()
    }

    #[test]
    fn open_directories_are_followed_by_their_entries() {
        assert_eq!(
            lines(&example()),
            [
                "+docs",
                "-src",
                "  -src/bin",
                "    Emptysrc/bin",
                "  src/lib.rs",
                "  more of src",
                "Cargo.toml",
            ]
        );
        let row = &example()[4];
        assert_eq!((row.level, row.position, row.siblings), (2, 2, 2));
    }

    #[test]
    fn what_is_not_loaded_says_so() {
        let rows = rows(&HashMap::new(), &HashSet::new());
        assert_eq!(lines(&rows), ["Loading…"]);
    }

    #[test]
    fn keys_move_open_and_close() {
        let rows = example();
        for (active, pressed, expected) in [
            (0, "ArrowDown", Some(Action::Move(1))),
            (0, "ArrowUp", Some(Action::Move(0))),
            (6, "ArrowDown", Some(Action::Move(6))),
            (3, "Home", Some(Action::Move(0))),
            (3, "End", Some(Action::Move(6))),
            (0, "ArrowRight", Some(Action::Toggle)),
            (1, "ArrowRight", Some(Action::Move(2))),
            (1, "ArrowLeft", Some(Action::Toggle)),
            (4, "ArrowLeft", Some(Action::Move(1))),
            (6, "ArrowLeft", None),
            (6, "ArrowRight", None),
            (4, "Enter", Some(Action::Go)),
            (4, "x", None),
            (99, "Enter", None),
        ] {
            assert_eq!(
                key(&rows, active, pressed),
                expected,
                "{pressed} at {active}"
            );
        }
    }

    #[test]
    fn typing_finds_the_next_name_and_begins_anew_at_the_end() {
        let rows = example();
        assert_eq!(find(&rows, 0, "s"), Some(1));
        assert_eq!(find(&rows, 1, "l"), Some(4));
        assert_eq!(find(&rows, 6, "D"), Some(0));
        assert_eq!(find(&rows, 1, "sr"), Some(1));
        assert_eq!(find(&rows, 0, "zz"), None);
        assert_eq!(find(&[], 0, "a"), None);
    }
}

//! Finding entries by parts of their names.

use super::walk::{Next, Skip, Walk};
use crate::root::{Error, Kind, Root};
use crate::tree_path::{TreePath, is_reserved};
use cap_std::fs::FileType;
use fuzzy_matcher::FuzzyMatcher;
use fuzzy_matcher::skim::SkimMatcherV2;
use std::cmp::Reverse;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// So many entries are looked through.
const NAMES_MAX: usize = 250_000;

/// All paths of a tree, as they are spelled, to be looked through again and again.
#[derive(Debug, Default)]
pub struct Names {
    entries: Vec<(Box<str>, Kind)>,
    complete: bool,
}

/// An entry that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its path as it is spelled.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Which characters of the path fit, counted from 0.
    pub positions: Vec<usize>,
}

impl Names {
    /// Lists a tree, without what is in directories of version control, of installed packages and
    /// of caches, unless `everything` is wanted. At most 250,000 entries.
    ///
    /// # Errors
    /// The file system's own.
    pub fn list(
        root: &Root,
        everything: bool,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, Error> {
        let tree = root.directory(&TreePath::top())?;
        let walk = Walk {
            tree: &tree,
            start: Path::new("."),
            skip: Skip {
                ignored: false,
                version_control: !everything,
                caches: !everything,
            },
            cancelled,
        };
        let mut names = Self::default();
        let complete = walk.run(|found| names.add(found.below, found.kind))?;
        names.complete = complete && names.entries.len() < NAMES_MAX;
        Ok(names)
    }

    fn add(&mut self, below: &Path, kind: FileType) -> Next {
        let bytes = below.as_os_str().as_bytes();
        if is_reserved(bytes) {
            return Next::Past;
        }
        let Ok(path) = TreePath::from_bytes(bytes) else {
            return Next::On;
        };
        self.entries.push((path.to_string().into(), kind_of(kind)));
        if self.entries.len() < NAMES_MAX {
            Next::On
        } else {
            Next::Stop
        }
    }

    /// Whether every entry is in here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How many entries are in here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries that fit best, at most `count`: those whose path has all characters of the
    /// query in this order, capitals counting only if it has some. What fits in the name comes
    /// before what fits in the directories. Nothing fits an empty query.
    #[must_use]
    pub fn find(&self, query: &str, count: usize) -> Vec<Hit> {
        let query: String = query.split_whitespace().collect();
        if query.is_empty() || count == 0 {
            return Vec::new();
        }
        let matcher = SkimMatcherV2::default().smart_case();
        let scored = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(index, (path, _))| {
                let score = score(&matcher, path, &query)?;
                Some((Reverse(score), path.len(), index))
            });
        let mut scored: Vec<_> = scored.collect();
        if scored.len() > count {
            scored.select_nth_unstable(count);
            scored.truncate(count);
        }
        scored.sort_unstable();
        let hits = scored.into_iter().map(|(_, _, index)| {
            let (path, kind) = &self.entries[index];
            Hit {
                path: path.to_string(),
                kind: *kind,
                positions: positions(&matcher, path, &query),
            }
        });
        hits.collect()
    }
}

fn score(matcher: &SkimMatcherV2, path: &str, query: &str) -> Option<i64> {
    let whole = matcher.fuzzy_match(path, query)?;
    let name = matcher.fuzzy_match(name_of(path), query);
    Some(whole + name.unwrap_or(0))
}

fn positions(matcher: &SkimMatcherV2, path: &str, query: &str) -> Vec<usize> {
    let name = name_of(path);
    if let Some((_, positions)) = matcher.fuzzy_indices(name, query) {
        let before = path[..path.len() - name.len()].chars().count();
        return positions.into_iter().map(|at| before + at).collect();
    }
    let found = matcher.fuzzy_indices(path, query);
    found.map_or_else(Vec::new, |(_, positions)| positions)
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn kind_of(kind: FileType) -> Kind {
    if kind.is_file() {
        Kind::File
    } else if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Symlink
    } else {
        Kind::Special
    }
}

//! Walks a tree by directory handles: no link is followed, no path is opened twice, and ignore
//! files are read like everything else, so that none can be a link to somewhere or a FIFO.

use std::ffi::OsString;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cap_fs_ext::{DirExt, FollowSymlinks};
use cap_std::fs::{Dir, FileType};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::paths::{Place, Roots, open_regular};

/// Directories of version control are never walked.
const VERSION_CONTROL: [&str; 6] = [".git", ".svn", ".hg", ".bzr", ".jj", ".sl"];
/// Later names beat earlier ones.
const IGNORE_FILES: [&str; 2] = [".gitignore", ".ignore"];
const IGNORE_BYTES_MAX: u64 = 1024 * 1024;
/// Each level holds a descriptor.
const DEPTH_MAX: usize = 128;
const ENTRIES_MAX: usize = 1_000_000;

/// A regular file that was met.
pub(super) struct Found<'found> {
    /// Its directory's handle, to open it by name without following links.
    pub(super) directory: &'found Dir,
    /// Its name.
    pub(super) name: &'found Path,
    /// Its path relative to where the walk began.
    pub(super) below: &'found Path,
}

/// A walk.
pub(super) struct Walk<'walk> {
    /// Where it begins: a directory behind all links.
    pub(super) start: &'walk Place,
    /// Whether ignore files are honoured.
    pub(super) ignoring: bool,
    /// Ends it early.
    pub(super) cancel: &'walk CancellationToken,
}

struct Walker<'walk, F> {
    walk: &'walk Walk<'walk>,
    visit: F,
    ignores: Vec<Gitignore>,
    entries: usize,
    complete: bool,
}

impl Walk<'_> {
    /// Visits the regular files, directory by directory in the order of their names. Returns
    /// whether all were met: not more than a million entries, 128 levels.
    pub(super) fn run(
        &self,
        roots: &Roots,
        visit: impl FnMut(&Found<'_>) -> ControlFlow<()>,
    ) -> Result<bool, Failure> {
        let tree = roots.tree(self.start.root);
        let directory = tree
            .open_dir(&self.start.relative)
            .map_err(|error| Failure::io(&self.start.shown(), &error))?;
        let mut walker = Walker {
            walk: self,
            visit,
            ignores: Vec::new(),
            entries: 0,
            complete: true,
        };
        walker.add_ancestors(tree);
        // A visitor that has enough is no error.
        let _ = walker.directory(&directory, Path::new(""), 0);
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        Ok(walker.complete)
    }
}

impl<F: FnMut(&Found<'_>) -> ControlFlow<()>> Walker<'_, F> {
    fn directory(&mut self, directory: &Dir, below: &Path, depth: usize) -> ControlFlow<()> {
        let ignores = self.ignores.len();
        self.add_ignores(directory, &self.walk.start.join(below));
        for (name, kind) in self.sorted_entries(directory) {
            self.entry(directory, Path::new(&name), below, kind, depth)?;
        }
        self.ignores.truncate(ignores);
        ControlFlow::Continue(())
    }

    fn entry(
        &mut self,
        directory: &Dir,
        name: &Path,
        below: &Path,
        kind: FileType,
        depth: usize,
    ) -> ControlFlow<()> {
        if self.walk.cancel.is_cancelled() {
            return ControlFlow::Break(());
        }
        let path = below.join(name);
        if self.is_ignored(&path, kind.is_dir()) {
            return ControlFlow::Continue(());
        }
        if kind.is_file() {
            return (self.visit)(&Found {
                directory,
                name,
                below: &path,
            });
        }
        if !kind.is_dir() || is_version_control(name) {
            return ControlFlow::Continue(());
        }
        self.subdirectory(directory, name, &path, depth)
    }

    fn subdirectory(
        &mut self,
        directory: &Dir,
        name: &Path,
        path: &Path,
        depth: usize,
    ) -> ControlFlow<()> {
        if depth >= DEPTH_MAX {
            self.complete = false;
            return ControlFlow::Continue(());
        }
        // It may be gone, unreadable or a link by now: then there is nothing to see.
        match directory.open_dir_nofollow(name) {
            Ok(inner) => self.directory(&inner, path, depth + 1),
            Err(_) => ControlFlow::Continue(()),
        }
    }

    fn sorted_entries(&mut self, directory: &Dir) -> Vec<(OsString, FileType)> {
        let Ok(entries) = directory.entries() else {
            return Vec::new();
        };
        let room = ENTRIES_MAX.saturating_sub(self.entries);
        let entries = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name(), entry.file_type().ok()?))
        });
        let mut sorted: Vec<_> = entries.take(room + 1).collect();
        if sorted.len() > room {
            sorted.truncate(room);
            self.complete = false;
        }
        self.entries += sorted.len();
        sorted.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        sorted
    }

    /// Ignore files above the start count as well.
    fn add_ancestors(&mut self, tree: &Dir) {
        let start = self.walk.start;
        let mut above: Vec<&Path> = start.relative.ancestors().skip(1).collect();
        above.reverse();
        for path in above {
            let place = Place::new(start.root, path);
            if let Ok(directory) = tree.open_dir(&place.relative) {
                self.add_ignores(&directory, &place);
            }
        }
    }

    fn add_ignores(&mut self, directory: &Dir, place: &Place) {
        if self.walk.ignoring {
            self.ignores
                .extend(ignores_of(directory, &place.absolute()));
        }
    }

    /// The nearest ignore file that says anything decides.
    fn is_ignored(&self, below: &Path, is_directory: bool) -> bool {
        let path = self.walk.start.absolute().join(below);
        for ignores in self.ignores.iter().rev() {
            match ignores.matched(&path, is_directory) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }
}

fn is_version_control(name: &Path) -> bool {
    VERSION_CONTROL.iter().any(|known| name == Path::new(known))
}

/// The rules of one directory's ignore files; none if it has none.
fn ignores_of(directory: &Dir, path: &PathBuf) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new(path);
    let texts = IGNORE_FILES
        .iter()
        .filter_map(|name| ignore_text(directory, name));
    for text in texts {
        for line in text.lines() {
            // A line that is no pattern is passed over, as git does.
            let _ = builder.add_line(None, line);
        }
    }
    builder.build().ok().filter(|ignores| !ignores.is_empty())
}

fn ignore_text(directory: &Dir, name: &str) -> Option<String> {
    let opened = open_regular(directory, Path::new(name), FollowSymlinks::No);
    let (file, metadata) = opened.ok()?;
    if !metadata.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(IGNORE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

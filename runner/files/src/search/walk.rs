//! Walks a tree by directory handles: no link is followed, no path is opened twice, and ignore
//! files are read like everything else, so that none can be a link to somewhere or a FIFO.

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, File, FileType, Metadata, OpenOptions};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Directories of version control.
const VERSION_CONTROL: [&str; 6] = [".git", ".svn", ".hg", ".bzr", ".jj", ".sl"];
/// What somebody else makes and can make again.
const INSTALLED: &str = "node_modules";
/// A file that marks a directory of the same kind, if it begins with these words.
const CACHE_TAG: &str = "CACHEDIR.TAG";
const CACHE_WORDS: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";
/// Later names beat earlier ones.
const IGNORE_FILES: [&str; 2] = [".gitignore", ".ignore"];
const IGNORE_BYTES_MAX: u64 = 1024 * 1024;
/// Each level holds a descriptor.
const DEPTH_MAX: usize = 128;
const ENTRIES_MAX: usize = 1_000_000;
/// Ignore files speak of absolute paths; this stands for the top.
const TOP: &str = "/";

/// Something that was met.
#[derive(Debug)]
pub struct Found<'found> {
    /// Its directory's handle, to open it by name without following links.
    pub directory: &'found Dir,
    /// Its name.
    pub name: &'found Path,
    /// Its path relative to where the walk began.
    pub below: &'found Path,
    /// What it is.
    pub kind: FileType,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// With everything, including what a directory that was met holds.
    On,
    /// But not into the directory that was met.
    Past,
    /// No: the visitor has enough.
    Stop,
}

/// What a walk passes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip {
    /// What ignore files name.
    pub ignored: bool,
    /// What is in directories of version control.
    pub version_control: bool,
    /// What is in directories of installed packages, and in those that are marked as caches.
    pub caches: bool,
}

/// A walk.
#[derive(Clone, Copy)]
pub struct Walk<'walk> {
    /// The top of the tree.
    pub tree: &'walk Dir,
    /// Where in it to begin: a directory behind all links; `.` for the top.
    pub start: &'walk Path,
    /// What is passed over.
    pub skip: Skip,
    /// Asked at each entry whether to give up.
    pub cancelled: &'walk (dyn Fn() -> bool + Sync),
}

struct Walker<'walk, F> {
    walk: &'walk Walk<'walk>,
    visit: F,
    ignores: Vec<Gitignore>,
    entries: usize,
    complete: bool,
}

/// The visitor has enough.
struct Enough;

impl Walk<'_> {
    /// Shows everything beneath the start, directory by directory in the order of names, each
    /// directory before what it holds. Returns whether all was met: not more than a million
    /// entries, 128 levels. What is gone or can't be read is passed over.
    ///
    /// # Errors
    /// When the start can't be opened; `Interrupted` when it was cancelled.
    pub fn run(&self, visit: impl FnMut(&Found<'_>) -> Next) -> io::Result<bool> {
        let directory = self.tree.open_dir(self.start)?;
        let mut walker = Walker {
            walk: self,
            visit,
            ignores: Vec::new(),
            entries: 0,
            complete: true,
        };
        walker.add_ancestors();
        // A visitor that has enough is no error.
        let _ = walker.directory(&directory, Path::new(""), 0);
        if (self.cancelled)() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(walker.complete)
    }
}

impl<F: FnMut(&Found<'_>) -> Next> Walker<'_, F> {
    fn directory(&mut self, directory: &Dir, below: &Path, depth: usize) -> Result<(), Enough> {
        let ignores = self.ignores.len();
        let start = self.walk.start;
        self.add_ignores(directory, &start.join(below));
        for (name, kind) in self.sorted_entries(directory) {
            self.entry(directory, Path::new(&name), below, kind, depth)?;
        }
        self.ignores.truncate(ignores);
        Ok(())
    }

    fn entry(
        &mut self,
        directory: &Dir,
        name: &Path,
        below: &Path,
        kind: FileType,
        depth: usize,
    ) -> Result<(), Enough> {
        if (self.walk.cancelled)() {
            return Err(Enough);
        }
        let path = below.join(name);
        if self.is_ignored(&path, kind.is_dir()) {
            return Ok(());
        }
        let next = (self.visit)(&Found {
            directory,
            name,
            below: &path,
            kind,
        });
        match next {
            Next::Stop => Err(Enough),
            Next::On if kind.is_dir() => self.subdirectory(directory, name, &path, depth),
            Next::On | Next::Past => Ok(()),
        }
    }

    fn subdirectory(
        &mut self,
        directory: &Dir,
        name: &Path,
        path: &Path,
        depth: usize,
    ) -> Result<(), Enough> {
        let skip = self.walk.skip;
        if (skip.version_control && is_version_control(name))
            || (skip.caches && name == Path::new(INSTALLED))
        {
            return Ok(());
        }
        if depth >= DEPTH_MAX {
            self.complete = false;
            return Ok(());
        }
        // It may be gone, unreadable or a link by now: then there is nothing to see.
        match directory.open_dir_nofollow(name) {
            Ok(inner) if skip.caches && is_cache(&inner) => Ok(()),
            Ok(inner) => self.directory(&inner, path, depth + 1),
            Err(_) => Ok(()),
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
    fn add_ancestors(&mut self) {
        let mut above: Vec<&Path> = self.walk.start.ancestors().skip(1).collect();
        above.reverse();
        for path in above {
            let opened = match path.as_os_str().is_empty() {
                true => self.walk.tree.try_clone(),
                false => self.walk.tree.open_dir(path),
            };
            if let Ok(directory) = opened {
                self.add_ignores(&directory, path);
            }
        }
    }

    fn add_ignores(&mut self, directory: &Dir, path: &Path) {
        if self.walk.skip.ignored {
            self.ignores.extend(ignores_of(directory, &absolute(path)));
        }
    }

    /// The nearest ignore file that says anything decides.
    fn is_ignored(&self, below: &Path, is_directory: bool) -> bool {
        if self.ignores.is_empty() {
            return false;
        }
        let path = absolute(&self.walk.start.join(below));
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

/// Opens something for reading without ever waiting for it, as a FIFO would have one wait; the
/// caller looks at what it is.
///
/// # Errors
/// The file system's own.
pub fn open(directory: &Dir, path: &Path, follow: FollowSymlinks) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    options.read(true).nonblock(true).follow(follow);
    let file = directory.open_with(path, &options)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// Opens what must be a regular file and no link.
///
/// # Errors
/// The file system's own; `InvalidInput` for something else.
pub fn open_file(directory: &Dir, name: &Path) -> io::Result<File> {
    let (file, metadata) = open(directory, name, FollowSymlinks::No)?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file)
}

/// A path as ignore files speak of it.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let plain = path.strip_prefix(".").unwrap_or(path);
    Path::new(TOP).join(plain)
}

fn is_version_control(name: &Path) -> bool {
    VERSION_CONTROL.iter().any(|known| name == Path::new(known))
}

fn is_cache(directory: &Dir) -> bool {
    let Ok(file) = open_file(directory, Path::new(CACHE_TAG)) else {
        return false;
    };
    let mut words = Vec::new();
    let read = file.take(CACHE_WORDS.len() as u64).read_to_end(&mut words);
    read.is_ok() && words == CACHE_WORDS
}

/// The rules of one directory's ignore files; none if it has none.
fn ignores_of(directory: &Dir, path: &Path) -> Option<Gitignore> {
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
    let file = open_file(directory, Path::new(name)).ok()?;
    let mut bytes = Vec::new();
    file.take(IGNORE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

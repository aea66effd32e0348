//! Searching contents, on two threads: one walks the tree and hands files to the other, and
//! searches itself what the other has no time for.

use super::line::Line;
use super::walk::{Found, Next, Skip, Walk, absolute, open_file};
use crate::root::{Error, Root};
use crate::tree_path::{TreePath, is_reserved};
use cap_std::fs::{Dir, File};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use ignore::overrides::{Override, OverrideBuilder};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Memory of each thread for one line; a file with a longer one is not searched to its end.
const HEAP_BYTES_MAX: usize = 16 << 20;
/// Memory for a compiled pattern.
const PATTERN_BYTES_MAX: usize = 10 << 20;
/// Files that are open and wait for the second thread.
const WAITING_MAX: usize = 16;
/// A report has at most so many lines; a file with more has several.
const LINES_MAX: usize = 200;

/// When capitals count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// If the pattern has some.
    Smart,
    /// Always.
    Sensitive,
    /// Never.
    Insensitive,
}

/// What is searched for, and where.
#[derive(Debug, Clone)]
pub struct Query {
    /// Text, or a regular expression that is matched line by line.
    pub pattern: String,
    /// Whether `pattern` is a regular expression.
    pub is_regex: bool,
    /// When capitals count.
    pub case: Case,
    /// Whether only whole words match.
    pub words: bool,
    /// Globs as in ignore files, of which one must match, if there are any.
    pub include: Vec<String>,
    /// Globs as in ignore files, of which none may match.
    pub exclude: Vec<String>,
    /// The directory or file to search.
    pub path: TreePath,
    /// Lines to show before and after each match.
    pub context: usize,
    /// The search ends after so many matches.
    pub max_matches: u64,
    /// Whether to search what ignore files name, version control, installed packages and caches.
    pub include_ignored: bool,
}

/// A part of a query can't be understood: its field, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct Invalid {
    /// The field: `pattern`, `include` or `exclude`.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// Lines of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMatches {
    /// The file.
    pub path: TreePath,
    /// Its lines, in their order: those that match, and those around them.
    pub lines: Vec<Line>,
}

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Files that were searched.
    pub files: u64,
    /// Matches that were reported.
    pub matches: u64,
    /// Whether there may be more.
    pub truncated: bool,
}

/// What a search reports to, from either thread.
pub trait Progress: Sync {
    /// Takes lines of a file. A file with many is reported several times. Returns whether to go on.
    fn found(&self, matches: FileMatches) -> bool;
    /// Asked often: whether nobody waits for the result any longer.
    fn cancelled(&self) -> bool;
}

/// A query that has been understood.
#[derive(Debug)]
pub struct Search {
    query: Query,
    matcher: RegexMatcher,
    names: Override,
}

/// What both threads share.
struct Shared<'s> {
    search: &'s Search,
    progress: &'s dyn Progress,
    files: AtomicU64,
    matches: AtomicU64,
    truncated: AtomicBool,
}

/// An open file that is to be searched.
struct Job {
    path: TreePath,
    file: File,
}

impl Search {
    /// Understands a query.
    ///
    /// # Errors
    /// Which field can't be understood.
    pub fn new(query: Query) -> Result<Self, Invalid> {
        Ok(Self {
            matcher: matcher(&query)?,
            names: names(&query)?,
            query,
        })
    }

    /// Searches a tree. Links are not followed beneath the path of the query. Files come in no
    /// particular order; what is not text is passed over.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotAFile`] for the path of the query; the file system's own.
    pub fn run(&self, root: &Root, progress: &dyn Progress) -> Result<Totals, Error> {
        let shared = Shared {
            search: self,
            progress,
            files: AtomicU64::new(0),
            matches: AtomicU64::new(0),
            truncated: AtomicBool::new(false),
        };
        match root.directory(&self.query.path) {
            Err(Error::NotADirectory(_)) => shared.single_file(root)?,
            opened => {
                opened?;
                shared.directory(root)?;
            }
        }
        Ok(Totals {
            files: shared.files.into_inner(),
            matches: shared.matches.into_inner(),
            truncated: shared.truncated.into_inner(),
        })
    }
}

impl Shared<'_> {
    fn single_file(&self, root: &Root) -> Result<(), Error> {
        let path = &self.search.query.path;
        let reader = root.read(path)?;
        let file = File::from_std(reader.into_file());
        let path = path.clone();
        self.file(&mut self.search.searcher(), Job { path, file });
        Ok(())
    }

    fn directory(&self, root: &Root) -> Result<(), Error> {
        let tree = root.directory(&TreePath::top())?;
        // Behind all links, so that ignore files above it are found.
        let start = tree.canonicalize(self.search.query.path.as_path())?;
        std::thread::scope(|scope| {
            let (queue, jobs) = sync_channel(WAITING_MAX);
            scope.spawn(move || self.second(&jobs));
            self.walk(&tree, &start, &queue)
        })
    }

    fn walk(&self, tree: &Dir, start: &Path, queue: &SyncSender<Job>) -> Result<(), Error> {
        let everything = self.search.query.include_ignored;
        let walk = Walk {
            tree,
            start,
            skip: Skip {
                ignored: !everything,
                version_control: !everything,
                caches: !everything,
            },
            cancelled: &|| self.progress.cancelled(),
        };
        let mut searcher = self.search.searcher();
        let visited = walk.run(|found| self.visit(found, start, &mut searcher, queue));
        match visited {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            visited => {
                if !visited? {
                    self.truncated.store(true, Ordering::Relaxed);
                }
                Ok(())
            }
        }
    }

    fn visit(
        &self,
        found: &Found<'_>,
        start: &Path,
        searcher: &mut Searcher,
        queue: &SyncSender<Job>,
    ) -> Next {
        if self.passes_over() {
            return Next::Stop;
        }
        let path = start.strip_prefix(".").unwrap_or(start).join(found.below);
        let unwanted = is_reserved(path.as_os_str().as_bytes())
            || self.search.is_unwanted(&path, found.kind.is_dir());
        if unwanted || !found.kind.is_file() {
            return if unwanted { Next::Past } else { Next::On };
        }
        let Some(job) = job(found, &path) else {
            return Next::On;
        };
        match queue.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                self.file(searcher, job);
            }
        }
        Next::On
    }

    fn second(&self, jobs: &Receiver<Job>) {
        let mut searcher = self.search.searcher();
        while let Ok(job) = jobs.recv() {
            self.file(&mut searcher, job);
        }
    }

    /// Searches one file. What can't be read has no matches.
    fn file(&self, searcher: &mut Searcher, job: Job) {
        if self.passes_over() {
            return;
        }
        self.files.fetch_add(1, Ordering::Relaxed);
        let mut sink = FileSink {
            shared: self,
            path: job.path,
            lines: Vec::new(),
        };
        let reader = Interruptible {
            file: job.file,
            shared: self,
        };
        // A line that is too long ends the search of its file.
        if searcher
            .search_reader(&self.search.matcher, reader, &mut sink)
            .is_err()
        {
            self.truncated.store(true, Ordering::Relaxed);
        }
        sink.report();
    }

    /// Whether what comes now is not searched any more. If that is for want of room, there may be
    /// more.
    fn passes_over(&self) -> bool {
        if self.is_full() {
            self.truncated.store(true, Ordering::Relaxed);
        }
        self.is_over()
    }

    fn is_over(&self) -> bool {
        self.progress.cancelled() || self.is_full()
    }

    fn is_full(&self) -> bool {
        self.matches.load(Ordering::Relaxed) >= self.search.query.max_matches
    }

    /// Takes as many of a line's matches as are still wanted; none if it is to be left out.
    fn count(&self, line: &mut Line) -> bool {
        let wanted = line.ranges.len().max(1) as u64;
        let max = self.search.query.max_matches;
        let before = self.matches.fetch_add(wanted, Ordering::Relaxed);
        let room = max.saturating_sub(before);
        if room < wanted {
            self.matches.fetch_sub(wanted - room, Ordering::Relaxed);
            self.truncated.store(true, Ordering::Relaxed);
            line.ranges.truncate(usize::try_from(room).unwrap_or(0));
        }
        room > 0
    }
}

fn job(found: &Found<'_>, path: &Path) -> Option<Job> {
    let file = open_file(found.directory, found.name).ok()?;
    let path = TreePath::from_bytes(path.as_os_str().as_bytes()).ok()?;
    Some(Job { path, file })
}

impl Search {
    fn is_unwanted(&self, path: &Path, is_directory: bool) -> bool {
        self.names.matched(absolute(path), is_directory).is_ignore()
    }

    fn searcher(&self) -> Searcher {
        SearcherBuilder::new()
            .line_number(true)
            .before_context(self.query.context)
            .after_context(self.query.context)
            .binary_detection(BinaryDetection::quit(0))
            .heap_limit(Some(HEAP_BYTES_MAX))
            .build()
    }
}

/// Receives the matches of one file.
struct FileSink<'s> {
    shared: &'s Shared<'s>,
    path: TreePath,
    lines: Vec<Line>,
}

impl FileSink<'_> {
    fn push(&mut self, line: Line) -> bool {
        self.lines.push(line);
        self.lines.len() < LINES_MAX || self.report()
    }

    fn report(&mut self) -> bool {
        if self.lines.is_empty() {
            return true;
        }
        self.shared.progress.found(FileMatches {
            path: self.path.clone(),
            lines: std::mem::take(&mut self.lines),
        })
    }
}

impl Sink for FileSink<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        let number = found.line_number().unwrap_or(0);
        let mut line = Line::matched(number, found.bytes(), &self.shared.search.matcher);
        Ok(self.shared.count(&mut line) && self.push(line))
    }

    fn context(&mut self, _: &Searcher, line: &SinkContext<'_>) -> io::Result<bool> {
        let number = line.line_number().unwrap_or(0);
        Ok(self.push(Line::around(number, line.bytes())))
    }
}

/// A file whose reading ends when nobody waits any longer.
struct Interruptible<'s> {
    file: File,
    shared: &'s Shared<'s>,
}

impl Read for Interruptible<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.shared.progress.cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        self.file.read(buffer)
    }
}

fn matcher(query: &Query) -> Result<RegexMatcher, Invalid> {
    let invalid = |reason: String| Invalid {
        field: "pattern",
        reason,
    };
    if query.pattern.is_empty() {
        return Err(invalid("must not be empty".to_owned()));
    }
    RegexMatcherBuilder::new()
        .fixed_strings(!query.is_regex)
        .case_smart(query.case == Case::Smart)
        .case_insensitive(query.case == Case::Insensitive)
        .word(query.words)
        .multi_line(true)
        .line_terminator(Some(b'\n'))
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build(&query.pattern)
        .map_err(|error| invalid(format!("can't be understood: {error}")))
}

fn names(query: &Query) -> Result<Override, Invalid> {
    let mut builder = OverrideBuilder::new(absolute(Path::new("")));
    for glob in &query.include {
        // A directory stands for what it holds.
        let inside = if glob.ends_with('/') { "**" } else { "" };
        add(&mut builder, "include", glob, &format!("{glob}{inside}"))?;
    }
    for glob in &query.exclude {
        add(&mut builder, "exclude", glob, &format!("!{glob}"))?;
    }
    let built = builder.build();
    built.map_err(|error| invalid_glob("include", &error))
}

fn add(
    builder: &mut OverrideBuilder,
    field: &'static str,
    given: &str,
    glob: &str,
) -> Result<(), Invalid> {
    if given.is_empty() || given.starts_with('!') {
        let reason = "must have globs that are not empty and don't begin with \"!\"".to_owned();
        return Err(Invalid { field, reason });
    }
    let added = builder.add(glob);
    added.map_err(|error| invalid_glob(field, &error))?;
    Ok(())
}

fn invalid_glob(field: &'static str, error: &ignore::Error) -> Invalid {
    let reason = format!("has a glob that can't be understood: {error}");
    Invalid { field, reason }
}

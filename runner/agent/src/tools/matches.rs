//! What Grep does with matches: collects the entries of its answer, no more than are wanted.

use std::io;
use std::ops::ControlFlow;

use grep_matcher::Matcher;
use grep_regex::RegexMatcher;
use grep_searcher::{Searcher, Sink, SinkContext, SinkMatch};

use super::glob::{Newest, PATHS_MAX};
use super::grep::Mode;
use super::paths::Place;
use super::walk::Found;

/// Lines are cut after so many characters.
const LINE_CHARS_MAX: usize = 500;
/// Entries are not collected beyond this, whatever the limit.
const ENTRIES_MAX: usize = 50_000;

/// What is wanted.
pub(super) struct Settings {
    pub(super) start: Place,
    pub(super) mode: Mode,
    pub(super) line_numbers: bool,
    pub(super) only_matching: bool,
    pub(super) offset: usize,
    pub(super) limit: usize,
}

/// What was found so far.
pub(super) struct Matches {
    settings: Settings,
    entries: Vec<String>,
    paths: Vec<String>,
    newest: Newest,
    /// Entries passed over because of the offset.
    skipped: usize,
    count: usize,
    truncated: bool,
    /// Matches in the file that is being searched.
    in_file: usize,
}

/// What was found in the end.
pub(super) struct Outcome {
    pub(super) entries: Vec<String>,
    pub(super) paths: Vec<String>,
    /// Files, or matching lines.
    pub(super) count: usize,
    pub(super) truncated: bool,
}

/// Receives the matches of one file.
pub(super) struct FileSink<'sink> {
    matches: &'sink mut Matches,
    matcher: &'sink RegexMatcher,
    path: String,
}

impl Matches {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            entries: Vec::new(),
            paths: Vec::new(),
            newest: Newest::default(),
            skipped: 0,
            count: 0,
            truncated: false,
            in_file: 0,
        }
    }

    pub(super) fn sink<'sink>(
        &'sink mut self,
        found: &Found<'_>,
        matcher: &'sink RegexMatcher,
    ) -> FileSink<'sink> {
        self.in_file = 0;
        FileSink {
            path: self.settings.start.join(found.below).shown(),
            matches: self,
            matcher,
        }
    }

    /// Accounts for a file after it was searched, and says whether to go on.
    pub(super) fn end_file(&mut self, found: &Found<'_>) -> ControlFlow<()> {
        if self.in_file == 0 {
            return ControlFlow::Continue(());
        }
        if self.settings.mode == Mode::FilesWithMatches {
            self.newest.add(found, ENTRIES_MAX * 2, ENTRIES_MAX);
            return ControlFlow::Continue(());
        }
        let path = self.settings.start.join(found.below).shown();
        if self.settings.mode == Mode::Count {
            self.push(format!("{path}:{}", self.in_file));
        }
        self.count += self.in_file;
        if self.paths.len() < PATHS_MAX {
            self.paths.push(path);
        }
        if self.truncated {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    pub(super) fn finish(mut self) -> Outcome {
        if self.settings.mode == Mode::FilesWithMatches {
            self.finish_files();
        }
        Outcome {
            entries: self.entries,
            paths: self.paths,
            count: self.count,
            truncated: self.truncated,
        }
    }

    /// Newest first, so the page can only be taken when all are known.
    fn finish_files(&mut self) {
        let newest = std::mem::take(&mut self.newest);
        self.count = newest.count;
        for path in newest.paths() {
            let shown = self.settings.start.join(&path).shown();
            if self.paths.len() < PATHS_MAX {
                self.paths.push(shown.clone());
            }
            if !self.push(shown) {
                break;
            }
        }
    }

    /// Adds an entry; false if there is no room for it.
    fn push(&mut self, entry: String) -> bool {
        if self.skipped < self.settings.offset {
            self.skipped += 1;
            return true;
        }
        if self.entries.len() >= self.settings.limit.min(ENTRIES_MAX) {
            self.truncated = true;
            return false;
        }
        self.entries.push(entry);
        true
    }
}

impl FileSink<'_> {
    /// Adds lines; false if there is no room for all.
    fn push_lines(&mut self, bytes: &[u8], first: Option<u64>, mark: char) -> bool {
        let lines = bytes
            .strip_suffix(b"\n")
            .unwrap_or(bytes)
            .split(|&byte| byte == b'\n');
        for (number, line) in (first.unwrap_or(0)..).zip(lines) {
            if !self.push_line(line, number, mark) {
                return false;
            }
        }
        true
    }

    fn push_line(&mut self, line: &[u8], number: u64, mark: char) -> bool {
        let text = cut(line.strip_suffix(b"\r").unwrap_or(line));
        let path = &self.path;
        let entry = if self.matches.settings.line_numbers {
            format!("{path}{mark}{number}{mark}{text}")
        } else {
            format!("{path}{mark}{text}")
        };
        self.matches.push(entry)
    }

    /// Adds the matching parts alone, each with the number of the line it begins in.
    fn push_parts(&mut self, bytes: &[u8], first: Option<u64>) -> bool {
        let mut parts = Vec::new();
        let found = self.matcher.find_iter(bytes, |part| {
            let before = bytes[..part.start()]
                .iter()
                .filter(|&&byte| byte == b'\n')
                .count();
            parts.push((first.unwrap_or(0) + before as u64, bytes[part].to_vec()));
            parts.len() < ENTRIES_MAX
        });
        found.is_ok()
            && parts
                .into_iter()
                .all(|(number, part)| self.push_line(&part, number, ':'))
    }
}

impl Sink for FileSink<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        self.matches.in_file += 1;
        match self.matches.settings.mode {
            Mode::FilesWithMatches => Ok(false),
            Mode::Count => Ok(true),
            Mode::Content if self.matches.settings.only_matching => {
                Ok(self.push_parts(found.bytes(), found.line_number()))
            }
            Mode::Content => Ok(self.push_lines(found.bytes(), found.line_number(), ':')),
        }
    }

    fn context(&mut self, _: &Searcher, line: &SinkContext<'_>) -> Result<bool, io::Error> {
        Ok(self.push_lines(line.bytes(), line.line_number(), '-'))
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, io::Error> {
        Ok(self.matches.push("--".to_owned()))
    }
}

fn cut(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    match text.char_indices().nth(LINE_CHARS_MAX) {
        Some((index, _)) => format!("{} … [cut]", &text[..index]),
        None => text.into_owned(),
    }
}

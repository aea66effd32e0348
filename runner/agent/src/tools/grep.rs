//! The tool Grep: what is searched, and the answer. What is done with a match is in `matches`.

use std::ops::ControlFlow;
use std::path::Path;

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use ignore::overrides::{Override, OverrideBuilder};
use ignore::types::{Types, TypesBuilder};
use membrane_files::search::open_file;
use membrane_proto::v1::SearchDetail;
use membrane_proto::v1::tool_result::Detail;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::failure::{Answer, Failure};
use super::glob::PATHS_MAX;
use super::matches::{Matches, Settings};
use super::paths::Place;
use super::walk::{Found, Walk};
use super::{Shared, ToolOutput};

const ENTRIES_DEFAULT: usize = 250;
/// The answer's text is cut after so many characters.
const TEXT_CHARS_MAX: usize = 30_000;
/// Memory for one line, or for one file when matches may span lines.
const HEAP_BYTES_MAX: usize = 64 * 1024 * 1024;
const CONTEXT_LINES_MAX: usize = 1000;

/// Input of Grep.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grep {
    pattern: String,
    path: Option<String>,
    glob: Option<String>,
    r#type: Option<String>,
    #[serde(default)]
    output_mode: Mode,
    #[serde(rename = "-A")]
    after: Option<usize>,
    #[serde(rename = "-B")]
    before: Option<usize>,
    #[serde(rename = "-C")]
    context: Option<usize>,
    #[serde(rename = "-n")]
    line_numbers: Option<bool>,
    #[serde(rename = "-i", default)]
    ignore_case: bool,
    #[serde(rename = "-o", default)]
    only_matching: bool,
    head_limit: Option<usize>,
    #[serde(default)]
    offset: usize,
    #[serde(default)]
    multiline: bool,
}

/// What is returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    Content,
    #[default]
    FilesWithMatches,
    Count,
}

/// Searches file contents.
pub(super) fn grep(shared: &Shared, input: Grep, cancel: &CancellationToken) -> Answer {
    let place = Place::parse(input.path.as_deref().unwrap_or("."))?;
    let start = shared.roots.real(&place);
    let start = start.map_err(|error| Failure::io(&place.shown(), &error))?;
    let mut search = Search::new(&input, &start, cancel)?;

    let tree = shared.roots.tree(start.root);
    let metadata = tree.metadata(&start.relative);
    let is_directory = metadata.is_ok_and(|metadata| metadata.is_dir());
    let complete = if is_directory {
        search.directory(shared, &start)?
    } else {
        search.single_file(shared, &start)?
    };
    Ok(search.answer(complete))
}

struct Search<'search> {
    matcher: RegexMatcher,
    searcher: Searcher,
    names: Override,
    types: Types,
    matches: Matches,
    cancel: &'search CancellationToken,
}

impl<'search> Search<'search> {
    fn new(
        input: &Grep,
        start: &Place,
        cancel: &'search CancellationToken,
    ) -> Result<Self, Failure> {
        let limit = match input.head_limit {
            Some(0) => usize::MAX,
            limit => limit.unwrap_or(ENTRIES_DEFAULT),
        };
        Ok(Self {
            matcher: matcher(input)?,
            searcher: searcher(input),
            names: names(input, start)?,
            types: types(input)?,
            matches: Matches::new(Settings {
                start: start.clone(),
                mode: input.output_mode,
                line_numbers: input.line_numbers.unwrap_or(true),
                only_matching: input.only_matching,
                offset: input.offset,
                limit,
            }),
            cancel,
        })
    }

    fn directory(&mut self, shared: &Shared, start: &Place) -> Result<bool, Failure> {
        let walk = Walk {
            start,
            ignoring: true,
            cancel: self.cancel,
        };
        walk.run(&shared.roots, |found| self.visit(found, &start.absolute()))
    }

    /// A file that was named is searched whatever its name and type.
    fn single_file(&mut self, shared: &Shared, start: &Place) -> Result<bool, Failure> {
        let (parent, name) = start.split()?;
        let (_, metadata) = shared.roots.file(start)?;
        let directory = shared.roots.tree(start.root).open_dir(&parent);
        let directory = directory.map_err(|error| Failure::io(&start.shown(), &error))?;
        let _ = self.file(&Found {
            directory: &directory,
            name: &name,
            below: Path::new(""),
            kind: metadata.file_type(),
        });
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        Ok(true)
    }

    fn visit(&mut self, found: &Found<'_>, start: &Path) -> ControlFlow<()> {
        let path = start.join(found.below);
        let unwanted = self.names.matched(&path, false).is_ignore()
            || self.types.matched(&path, false).is_ignore();
        if unwanted {
            return ControlFlow::Continue(());
        }
        self.file(found)
    }

    /// Searches one file. One that can't be read, or is a link by now, has no matches.
    fn file(&mut self, found: &Found<'_>) -> ControlFlow<()> {
        let Ok(file) = open_file(found.directory, found.name) else {
            return ControlFlow::Continue(());
        };
        let reader = Interruptible {
            file,
            cancel: self.cancel,
        };
        let mut sink = self.matches.sink(found, &self.matcher);
        let _ = self
            .searcher
            .search_reader(&self.matcher, reader, &mut sink);
        self.matches.end_file(found)
    }

    fn answer(self, complete: bool) -> ToolOutput {
        let found = self.matches.finish();
        let mut truncated = found.truncated || !complete;
        let mut text = found.entries.join("\n");
        if let Some((index, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            text.truncate(text[..index].rfind('\n').unwrap_or(index));
            truncated = true;
        }
        if text.is_empty() {
            text = "No matches found.".to_owned();
        }
        if truncated {
            text += "\n(TRUNCATED: there is more. Narrow the search, or go on with offset.)";
        }
        ToolOutput {
            detail: Some(Detail::Search(SearchDetail {
                paths: found.paths.into_iter().take(PATHS_MAX).collect(),
                match_count: i32::try_from(found.count).unwrap_or(i32::MAX),
                truncated,
            })),
            ..ToolOutput::text(text)
        }
    }
}

fn matcher(input: &Grep) -> Result<RegexMatcher, Failure> {
    let mut builder = RegexMatcherBuilder::new();
    builder
        .case_insensitive(input.ignore_case)
        .multi_line(true)
        .dot_matches_new_line(input.multiline);
    if !input.multiline {
        builder.line_terminator(Some(b'\n'));
    }
    let built = builder.build(&input.pattern);
    built.map_err(|error| {
        Failure::new(format!(
            "The pattern is not a valid regular expression: {error}"
        ))
    })
}

fn searcher(input: &Grep) -> Searcher {
    let wants_context = input.output_mode == Mode::Content && !input.only_matching;
    let lines = |own: Option<usize>| {
        let lines = own.or(input.context).unwrap_or(0);
        if wants_context {
            lines.min(CONTEXT_LINES_MAX)
        } else {
            0
        }
    };
    SearcherBuilder::new()
        .line_number(true)
        .multi_line(input.multiline)
        .before_context(lines(input.before))
        .after_context(lines(input.after))
        .binary_detection(BinaryDetection::quit(0))
        .heap_limit(Some(HEAP_BYTES_MAX))
        .build()
}

fn names(input: &Grep, start: &Place) -> Result<Override, Failure> {
    let mut builder = OverrideBuilder::new(start.absolute());
    let invalid = |error: ignore::Error| Failure::new(format!("glob is not valid: {error}."));
    if let Some(glob) = &input.glob {
        builder.add(glob).map_err(invalid)?;
    }
    builder.build().map_err(invalid)
}

fn types(input: &Grep) -> Result<Types, Failure> {
    let mut builder = TypesBuilder::new();
    builder.add_defaults();
    if let Some(name) = &input.r#type {
        builder.select(name);
    }
    let built = builder.build();
    built.map_err(|_| Failure::new("type is not a known file type. Use glob instead."))
}

/// A file whose reading ends when the call is cancelled.
struct Interruptible<'file> {
    file: cap_std::fs::File,
    cancel: &'file CancellationToken,
}

impl std::io::Read for Interruptible<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(std::io::Error::other("cancelled"));
        }
        self.file.read(buffer)
    }
}

//! The tool Glob.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cap_std::fs::MetadataExt;
use globset::{GlobBuilder, GlobMatcher};
use membrane_proto::v1::SearchDetail;
use membrane_proto::v1::tool_result::Detail;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::failure::{Answer, Failure};
use super::paths::Place;
use super::walk::{Found, Walk};
use super::{Shared, ToolOutput};

/// At most so many files are returned, and shown in any search's detail.
pub(super) const PATHS_MAX: usize = 100;
/// So many are kept until the newest are picked.
const KEPT_MAX: usize = 10_000;

/// Input of Glob.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Glob {
    pattern: String,
    path: Option<String>,
}

/// Files and when they were modified.
#[derive(Default)]
pub(super) struct Newest {
    files: Vec<((i64, i64), PathBuf)>,
    pub(super) count: usize,
}

/// Finds files by name.
pub(super) fn glob(shared: &Shared, input: Glob, cancel: &CancellationToken) -> Answer {
    let (start, pattern) = start(shared, &input)?;
    let pattern = Pattern::new(pattern)?;
    let walk = Walk {
        start: &start,
        ignoring: false,
        cancel,
    };
    let mut newest = Newest::default();
    let complete = walk.run(&shared.roots, |found| {
        if pattern.matches(found.below) {
            newest.add(found, KEPT_MAX, PATHS_MAX);
        }
        ControlFlow::Continue(())
    })?;
    Ok(answer(&start, newest, complete))
}

/// Where to begin, and the pattern from there. A pattern may be absolute.
fn start<'input>(shared: &Shared, input: &'input Glob) -> Result<(Place, &'input str), Failure> {
    let roots = [crate::sandbox::WORKSPACE, crate::sandbox::HOME];
    let absolute = roots.iter().find_map(|root| {
        let rest = input.pattern.strip_prefix(root)?.strip_prefix('/')?;
        Some((*root, rest))
    });
    let (path, pattern) = match absolute {
        Some(split) => split,
        None if input.pattern.starts_with('/') => {
            return Err(Failure::new(
                "The pattern is outside of /workspace and /home/agent.",
            ));
        }
        None => (input.path.as_deref().unwrap_or("."), input.pattern.as_str()),
    };
    Ok((directory(shared, path)?, pattern))
}

/// The place of a directory behind all links.
fn directory(shared: &Shared, path: &str) -> Result<Place, Failure> {
    let place = Place::parse(path)?;
    let real = shared.roots.real(&place);
    real.map_err(|error| Failure::io(&place.shown(), &error))
}

/// A pattern. Without a slash it is about names, at any depth.
struct Pattern {
    matcher: GlobMatcher,
    names: bool,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, Failure> {
        let text = text.strip_prefix("./").unwrap_or(text);
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        let glob =
            glob.map_err(|error| Failure::new(format!("The pattern is not valid: {error}.")))?;
        Ok(Self {
            matcher: glob.compile_matcher(),
            names: !text.contains('/'),
        })
    }

    fn matches(&self, below: &Path) -> bool {
        let name = below.file_name().filter(|_| self.names);
        self.matcher.is_match(name.map_or(below, Path::new))
    }
}

impl Newest {
    /// Adds a file, unless it is gone already. When `kept` are there, all but the newest `needed`
    /// are forgotten.
    pub(super) fn add(&mut self, found: &Found<'_>, kept: usize, needed: usize) {
        let Ok(metadata) = found.directory.symlink_metadata(found.name) else {
            return;
        };
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        self.count += 1;
        self.files.push((modified, found.below.to_owned()));
        if self.files.len() >= kept {
            self.sort();
            self.files.truncate(needed);
        }
    }

    /// The paths, newest first; of those as new as each other, by name.
    pub(super) fn paths(mut self) -> Vec<PathBuf> {
        self.sort();
        self.files.into_iter().map(|(_, path)| path).collect()
    }

    fn sort(&mut self) {
        self.files
            .sort_unstable_by(|(time, path), (other_time, other_path)| {
                other_time.cmp(time).then_with(|| path.cmp(other_path))
            });
    }
}

fn answer(start: &Place, newest: Newest, complete: bool) -> ToolOutput {
    let count = newest.count;
    let paths = newest.paths().into_iter().take(PATHS_MAX);
    let paths: Vec<String> = paths.map(|path| start.join(&path).shown()).collect();
    let truncated = count > paths.len() || !complete;
    let mut text = match paths.len() {
        0 => "No files found.".to_owned(),
        _ => paths.join("\n"),
    };
    if count > paths.len() {
        text += &format!(
            "\n(TRUNCATED: the newest {} of {count} files.)",
            paths.len()
        );
    }
    if !complete {
        text += "\n(TRUNCATED: the directory is too large to be searched as a whole.)";
    }
    ToolOutput {
        detail: Some(Detail::Search(SearchDetail {
            paths,
            match_count: i32::try_from(count).unwrap_or(i32::MAX),
            truncated,
        })),
        ..ToolOutput::text(text)
    }
}

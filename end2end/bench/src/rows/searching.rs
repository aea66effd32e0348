//! Row 13, its first half: searching in files.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use membrane_files::{
    TreePath,
    root::{Quota, Root, Usage},
    search::{Case, FileMatches, Progress, Query, Search},
};
use tempfile::TempDir;

use crate::{
    Settings,
    measure::{ms, ms_since, now},
    rounds::{self, Figures, Part, Row},
    trees::{self, timed},
};

const FILES: usize = 20_000;
/// In a few hundred files of any collection of crates.
const PATTERN: &str = "saturating_sub";

const ROW: Row = Row {
    title: "13: searching in files (searching in events is not there yet)",
    compared: "one word in 20,000 files of crates' sources, all its lines: our search, and rg with \
        as many threads",
    persisted: "nothing",
    goal: "at most 1.2 times rg, the first hit within 50 ms",
};

struct Ours {
    root: Root,
    expected: u64,
}

/// Counts, and notes when the first came.
#[derive(Default)]
struct Seen {
    lines: AtomicU64,
    first: AtomicU64,
}

impl Progress for Seen {
    fn found(&self, matches: FileMatches) -> bool {
        let _ = self
            .first
            .compare_exchange(0, now(), Ordering::Relaxed, Ordering::Relaxed);
        self.lines
            .fetch_add(matches.lines.len() as u64, Ordering::Relaxed);
        true
    }

    fn cancelled(&self) -> bool {
        false
    }
}

#[async_trait]
impl Part for Ours {
    fn name(&self) -> &str {
        "membrane"
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let seen = Seen::default();
        let begun = now();
        Search::new(query())?.run(&self.root, &seen)?;
        let took = ms_since(begun);
        let lines = seen.lines.into_inner();
        ensure!(
            lines == self.expected,
            "{lines} lines, not {}",
            self.expected
        );
        let first = ms(seen.first.into_inner() - begun);
        Ok(vec![("ms", took), ("first hit ms", first)])
    }
}

struct Rg(Arc<TempDir>);

impl Rg {
    /// Lines with the pattern, and how long it took to find them.
    async fn search(&self) -> anyhow::Result<(u64, f64)> {
        let argv = [
            "rg",
            "--no-config",
            "--hidden",
            "--fixed-strings",
            PATTERN,
            "files",
        ];
        let (said, took) = timed(self.0.path(), &argv).await?;
        let lines = said.iter().filter(|&&byte| byte == b'\n').count();
        Ok((lines as u64, took))
    }
}

#[async_trait]
impl Part for Rg {
    fn name(&self) -> &str {
        "rg"
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let (_, took) = self.search().await?;
        Ok(vec![("ms", took)])
    }
}

fn query() -> Query {
    Query {
        pattern: PATTERN.to_owned(),
        is_regex: false,
        case: Case::Sensitive,
        words: false,
        include: Vec::new(),
        exclude: Vec::new(),
        path: TreePath::top(),
        context: 0,
        max_matches: u64::MAX,
        include_ignored: false,
    }
}

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let directory = Arc::new(tempfile::tempdir_in(&settings.data)?);
    let size = trees::sources(&settings.crates, &directory.path().join("files"), FILES)?;
    let usage = Arc::new(Usage::new(Quota::default()));
    let root = Root::open(trees::open(directory.path())?, usage)?;
    let rg = Rg(directory);
    let (expected, _) = rg.search().await.context("searching with rg")?;
    println!("a tree of {size}, {expected} lines with the word");
    let mut parts: Vec<Box<dyn Part>> = vec![Box::new(Ours { root, expected }), Box::new(rg)];
    rounds::run(settings, ROW, &mut parts, &[]).await
}

//! Row 6: what one changed file in a hundred costs to find and keep.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use membrane_files::store::{ScanOptions, Store, scan};
use tempfile::TempDir;

use crate::{
    Settings,
    measure::{ms_since, now, wall_clock},
    rounds::{self, Figures, Part, Row},
    trees::{self, change_one_in_a_hundred, timed},
};

const FILES: usize = 20_000;

const ROW: Row = Row {
    title: "6: finding and keeping what changed, one file in a hundred",
    compared: "20,000 files of crates' sources, of which 200 get a line more before each \
        measurement: our scan, with its index read and written, the manifest saved; git add; \
        restic backup; and find, which looks at each entry and keeps nothing",
    persisted: "nobody is told to sync",
    goal: "at most 3 times the bare walk; at least 5 times as fast as restic (git is there to compare)",
};

/// A tree, and a place beside it.
struct Place {
    tree: PathBuf,
    kept: PathBuf,
    times: usize,
    _directory: TempDir,
}

impl Place {
    fn new(settings: &Settings) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir_in(std::path::absolute(&settings.data)?)?;
        let (tree, kept) = (directory.path().join("tree"), directory.path().join("kept"));
        fs::create_dir(&kept)?;
        trees::sources(&settings.crates, &tree, FILES)?;
        Ok(Self {
            tree,
            kept,
            times: 0,
            _directory: directory,
        })
    }

    fn change(&mut self) -> anyhow::Result<usize> {
        self.times += 1;
        Ok(change_one_in_a_hundred(&self.tree, self.times)?.len())
    }
}

struct Ours(Place);

impl Ours {
    fn scan(&self) -> anyhow::Result<u64> {
        let store = Store::open(trees::open(&self.0.kept)?)?;
        let mut cache = store.read_index()?;
        let tree = trees::open(&self.0.tree)?;
        let found = scan(
            &tree,
            &store,
            &mut cache,
            wall_clock(),
            &ScanOptions::default(),
        )?;
        store.save_manifest(&found.manifest)?;
        store.write_index(&cache)?;
        Ok(found.summary.hashed_files)
    }
}

#[async_trait]
impl Part for Ours {
    fn name(&self) -> &str {
        "membrane"
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let changed = self.0.change()? as u64;
        let begun = now();
        let read = self.scan()?;
        let took = ms_since(begun);
        ensure!(
            read >= changed,
            "{changed} files changed and {read} were read"
        );
        Ok(vec![("ms", took)])
    }
}

struct Program {
    name: &'static str,
    place: Place,
    argv: Vec<String>,
}

#[async_trait]
impl Part for Program {
    fn name(&self) -> &str {
        self.name
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        self.place.change()?;
        let argv: Vec<&str> = self.argv.iter().map(String::as_str).collect();
        let (_, took) = timed(&self.place.tree, &argv).await?;
        Ok(vec![("ms", took)])
    }
}

/// Makes a program's part: first once to prepare, then `argv` whenever it is measured. `{kept}`
/// stands for the place beside the tree.
async fn program(
    settings: &Settings,
    name: &'static str,
    prepare: &[&[&str]],
    argv: &[&str],
) -> anyhow::Result<Program> {
    let place = Place::new(settings)?;
    let kept = place.kept.to_str().context("a path that is no text")?;
    let with = |argv: &[&str]| -> Vec<String> {
        let argument = |argument: &&str| argument.replace("{kept}", kept);
        argv.iter().map(argument).collect()
    };
    for step in prepare.iter().chain([&argv]) {
        let step = with(step);
        let step: Vec<&str> = step.iter().map(String::as_str).collect();
        timed(&place.tree, &step).await?;
    }
    let argv = with(argv);
    Ok(Program { name, place, argv })
}

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let ours = Ours(Place::new(settings)?);
    ours.scan()?;
    let git = ["git", "--git-dir={kept}", "--work-tree=."];
    let init = [&git[..], &["init", "--quiet"]].concat();
    let add = [&git[..], &["add", "--all", "--force", "."]].concat();
    let restic = [
        "restic",
        "--password-command=echo benchmark",
        "--repo={kept}",
        "--quiet",
    ];
    let restic_init = [&restic[..], &["init"]].concat();
    let backup = [&restic[..], &["backup", "."]].concat();
    let find = ["find", ".", "-printf", "%s %T@ %i\n"];
    let mut parts: Vec<Box<dyn Part>> = vec![
        Box::new(ours),
        Box::new(program(settings, "git add", &[&init], &add).await?),
        Box::new(program(settings, "restic backup", &[&restic_init], &backup).await?),
        Box::new(program(settings, "find", &[], &find).await?),
    ];
    rounds::run(settings, ROW, &mut parts, &[]).await
}

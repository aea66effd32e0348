//! Row 5: a workspace out as a zip archive and in again.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::ensure;
use async_trait::async_trait;
use membrane_files::{Limits, export_zip, import_zip};
use tempfile::TempDir;

use crate::{
    Settings,
    measure::{ms_since, now},
    rounds::{self, Figures, Part, Row},
    trees::{self, Size, timed},
};

const FILES: usize = 20_000;

const ROW: Row = Row {
    title: "5: a tree out as an archive and in again",
    compared: "20,000 files of crates' sources: our archives, Info-ZIP with -1, and tar with zstd \
        -3 on all cores; each writes a file and unpacks that file into a new directory",
    persisted: "nobody syncs",
    goal: "out at least 4 times as fast as zip -1, in at least 2 times as fast as unzip",
};

/// Where a part works.
struct Place {
    tree: PathBuf,
    size: Size,
    directory: TempDir,
}

impl Place {
    fn new(settings: &Settings, tree: &Path, size: Size) -> anyhow::Result<Self> {
        Ok(Self {
            tree: tree.to_owned(),
            size,
            directory: tempfile::tempdir_in(&settings.data)?,
        })
    }

    /// The archive and an empty directory to unpack it into. Info-ZIP adds the ending to a name
    /// that has none.
    fn fresh(&self) -> anyhow::Result<(PathBuf, PathBuf)> {
        let archive = self.directory.path().join("archive.zip");
        let unpacked = self.directory.path().join("unpacked");
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked)?;
            fs::remove_file(&archive)?;
        }
        fs::create_dir(&unpacked)?;
        Ok((archive, unpacked))
    }

    fn figures(&self, archive: &Path, out_ms: f64, in_ms: f64) -> anyhow::Result<Figures> {
        let rate = |ms: f64| self.size.bytes as f64 / 1e3 / ms;
        Ok(vec![
            ("out MB/s", rate(out_ms)),
            ("in MB/s", rate(in_ms)),
            ("archive MB", fs::metadata(archive)?.len() as f64 / 1e6),
        ])
    }
}

struct Ours(Place);

#[async_trait]
impl Part for Ours {
    fn name(&self) -> &str {
        "membrane"
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let (archive, unpacked) = self.0.fresh()?;
        let (tree, to) = (trees::open(&self.0.tree)?, trees::open(&unpacked)?);
        let begun = now();
        let out = export_zip(&tree, File::create(&archive)?, &Limits::default())?;
        let out_ms = ms_since(begun);
        let begun = now();
        let back = import_zip(File::open(&archive)?, &to, &Limits::default())?;
        let in_ms = ms_since(begun);
        ensure!(out.files == back.files, "{out:?} came back as {back:?}");
        self.0.figures(&archive, out_ms, in_ms)
    }
}

struct Programs {
    name: &'static str,
    place: Place,
    /// `{archive}` and `{to}` stand for the paths.
    pack: &'static [&'static str],
    unpack: &'static [&'static str],
}

#[async_trait]
impl Part for Programs {
    fn name(&self) -> &str {
        self.name
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let (archive, unpacked) = self.place.fresh()?;
        let names = [archive.to_string_lossy(), unpacked.to_string_lossy()];
        let with = |argument: &&'static str| match *argument {
            "{archive}" => names[0].to_string(),
            "{to}" => names[1].to_string(),
            other => other.to_owned(),
        };
        let pack: Vec<String> = self.pack.iter().map(with).collect();
        let unpack: Vec<String> = self.unpack.iter().map(with).collect();
        let (_, out_ms) = timed(&self.place.tree, &refs(&pack)).await?;
        let (_, in_ms) = timed(&unpacked, &refs(&unpack)).await?;
        self.place.figures(&archive, out_ms, in_ms)
    }
}

fn refs(argv: &[String]) -> Vec<&str> {
    argv.iter().map(String::as_str).collect()
}

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    let tree = directory.path();
    let size = trees::sources(&settings.crates, tree, FILES)?;
    println!("a tree of {size}");
    let place = || Place::new(settings, tree, size);
    let zip = Programs {
        name: "Info-ZIP -1",
        place: place()?,
        pack: &["zip", "-1", "-q", "-r", "{archive}", "."],
        unpack: &["unzip", "-q", "{archive}", "-d", "{to}"],
    };
    let tar = Programs {
        name: "tar and zstd -3 -T0",
        place: place()?,
        pack: &["tar", "-I", "zstd -3 -T0", "-cf", "{archive}", "."],
        unpack: &["tar", "-I", "zstd -d", "-xf", "{archive}", "-C", "{to}"],
    };
    let mut parts: Vec<Box<dyn Part>> =
        vec![Box::new(Ours(place()?)), Box::new(zip), Box::new(tar)];
    rounds::run(settings, ROW, &mut parts, &[]).await
}

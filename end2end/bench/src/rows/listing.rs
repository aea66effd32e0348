//! Row 12: a tree of a hundred thousand files, listed.

use std::{fs, sync::Arc};

use anyhow::ensure;
use async_trait::async_trait;
use membrane_files::{
    TreePath,
    root::{Quota, Root, Usage},
    search::Names,
};
use tempfile::TempDir;

use crate::{
    Settings,
    measure::{ms_since, now},
    rounds::{self, Figures, Part, Row},
    trees::{self, timed},
};

const FILES: usize = 100_000;
/// Entries of a page, as the console asks for them.
const PAGE: usize = 200;

const ROW: Row = Row {
    title: "12: a tree of 100,000 files",
    compared: "the first page of the top; all names, as the search by name lists them; and a \
        directory again after a file in it was written. find lists all names",
    persisted: "nothing",
    goal: "first folder within 5 ms; the whole at most 1.5 times find; after a change within 10 ms",
};

struct Ours {
    root: Root,
    directory: Arc<TempDir>,
    times: usize,
}

#[async_trait]
impl Part for Ours {
    fn name(&self) -> &str {
        "membrane"
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let begun = now();
        let page = self.root.list(&TreePath::top(), None, PAGE)?;
        let first = ms_since(begun);
        ensure!(page.entries.len() == PAGE, "{} entries", page.entries.len());

        let begun = now();
        let names = Names::list(&self.root, true, &|| false)?;
        let whole = ms_since(begun);
        ensure!(names.len() > FILES, "{} names", names.len());

        self.times += 1;
        let part = "part-0500".parse::<TreePath>()?;
        let new = format!("files/part-0500/new-{}", self.times);
        let begun = now();
        fs::write(self.directory.path().join(new), "new")?;
        let page = self.root.list(&part, None, PAGE)?;
        let after = ms_since(begun);
        ensure!(page.entries.len() == 100 + self.times, "it is not there");
        Ok(vec![
            ("whole ms", whole),
            ("first ms", first),
            ("after a change ms", after),
        ])
    }
}

struct Find(Arc<TempDir>);

#[async_trait]
impl Part for Find {
    fn name(&self) -> &str {
        "find"
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let (_, took) = timed(self.0.path(), &["find", "files"]).await?;
        Ok(vec![("whole ms", took)])
    }
}

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let directory = Arc::new(tempfile::tempdir_in(&settings.data)?);
    trees::wide(&directory.path().join("files"), FILES)?;
    let usage = Arc::new(Usage::new(Quota::default()));
    let ours = Ours {
        root: Root::open(trees::open(directory.path())?, usage)?,
        directory: directory.clone(),
        times: 0,
    };
    let mut parts: Vec<Box<dyn Part>> = vec![Box::new(ours), Box::new(Find(directory))];
    rounds::run(settings, ROW, &mut parts, &[]).await
}

//! Real trees to measure with: sources of crates from cargo's registry, which building this has
//! brought here, and a wide one of small files.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail, ensure};
use cap_std::{ambient_authority, fs::Dir};
use tokio::process::Command;

use crate::measure::{ms_since, now};

/// What a tree has in it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size {
    /// Regular files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl std::fmt::Display for Size {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let megabytes = self.bytes as f64 / 1e6;
        write!(formatter, "{} files, {megabytes:.0} MB", self.files)
    }
}

/// Copies crates of a registry until there are so many files.
///
/// # Errors
/// When the registry has fewer, or something can't be copied.
pub fn sources(registry: &Path, to: &Path, files: usize) -> anyhow::Result<Size> {
    let mut size = Size::default();
    let mut crates = Vec::new();
    for index in entries(registry)? {
        crates.extend(entries(&index)?);
    }
    crates.sort();
    for from in crates.iter().filter(|path| path.is_dir()) {
        copy(
            from,
            &to.join(from.file_name().context("no name")?),
            &mut size,
        )?;
        if size.files >= files {
            return Ok(size);
        }
    }
    bail!("{} has only {size}: run cargo fetch", registry.display())
}

/// Directories of a hundred small files each.
///
/// # Errors
/// When something can't be written.
pub fn wide(to: &Path, files: usize) -> anyhow::Result<Size> {
    for number in 0..files {
        let directory = to.join(format!("part-{:04}", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(&directory)?;
        }
        let name = format!("file-{number:06}.txt");
        fs::write(directory.join(name), format!("This is number {number}.\n"))?;
    }
    let bytes = 24 * files as u64;
    Ok(Size { files, bytes })
}

/// Appends a line to every hundredth file, another hundredth each time. Answers the changed ones.
///
/// # Errors
/// When one can't be written.
pub fn change_one_in_a_hundred(tree: &Path, time: usize) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    list(tree, &mut all)?;
    all.sort();
    let changed: Vec<PathBuf> = all.into_iter().skip(time % 100).step_by(100).collect();
    for path in &changed {
        let mut file = fs::OpenOptions::new().append(true).open(path)?;
        writeln!(file, "// changed for the {time}th time")?;
    }
    Ok(changed)
}

/// Runs a program in a directory and answers what it said and how many milliseconds it took.
///
/// # Errors
/// When it is not there or fails.
pub async fn timed(directory: &Path, argv: &[&str]) -> anyhow::Result<(Vec<u8>, f64)> {
    let mut program = Command::new(argv[0]);
    program.args(&argv[1..]).current_dir(directory);
    program.stdin(Stdio::null()).stderr(Stdio::piped());
    let begun = now();
    let done = program.output().await;
    let took = ms_since(begun);
    let done = done.with_context(|| format!("{} can't be started", argv[0]))?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{} failed: {said}", argv[0]);
    Ok((done.stdout, took))
}

/// A handle of a directory.
///
/// # Errors
/// When it is not there.
pub fn open(directory: &Path) -> std::io::Result<Dir> {
    Dir::open_ambient_dir(directory, ambient_authority())
}

fn copy(from: &Path, to: &Path, size: &mut Size) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for path in entries(from)? {
        let target = to.join(path.file_name().context("no name")?);
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            copy(&path, &target, size)?;
        } else if kind.is_file() {
            size.bytes += fs::copy(&path, target)?;
            size.files += 1;
        }
    }
    Ok(())
}

fn list(directory: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for path in entries(directory)? {
        if path.is_dir() {
            list(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn entries(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

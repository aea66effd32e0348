//! One server to a data directory: two would end each other's turns. The file that is locked says
//! which master keys the server has, for whoever changes them from outside. The directory also knows
//! which server it is, among those that share a database.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use anyhow::{Context as _, bail};

use crate::id::ServerId;

const SERVER: &str = "server.lock";
const ROTATION: &str = "rotation.lock";
const IDENTITY: &str = "server.id";

/// The lock of a data directory; dropping it, or dying, frees it.
#[derive(Debug)]
pub struct Alone(File);

impl Alone {
    /// Takes it for a server.
    ///
    /// # Errors
    /// In words for an operator, when another server has it.
    pub fn lock(data_dir: &Path) -> anyhow::Result<Self> {
        match take(data_dir, SERVER)? {
            Some(file) => Ok(Self(file)),
            None => bail!(
                "another server uses the data directory {}",
                data_dir.display()
            ),
        }
    }

    /// Takes it for a rotation of the master key, beside a server.
    ///
    /// # Errors
    /// In words for an operator, when another rotation runs.
    pub fn lock_rotation(data_dir: &Path) -> anyhow::Result<Self> {
        match take(data_dir, ROTATION)? {
            Some(file) => Ok(Self(file)),
            None => bail!("another `membrane keys rotate` is running"),
        }
    }

    /// Writes down which versions of the master key this server has.
    ///
    /// # Errors
    /// The file system's own.
    pub fn tell(&self, versions: &[i32]) -> io::Result<()> {
        let line = format!("{}\n", words(versions));
        self.0.set_len(0)?;
        self.0.write_all_at(line.as_bytes(), 0)
    }
}

/// Versions of the master key as they are written down.
#[must_use]
pub fn words(versions: &[i32]) -> String {
    let words: Vec<String> = versions.iter().map(ToString::to_string).collect();
    words.join(" ")
}

/// Which server a data directory belongs to; decided at its first start.
///
/// # Errors
/// In words for an operator.
pub fn identity(data_dir: &Path) -> anyhow::Result<ServerId> {
    let path = data_dir.join(IDENTITY);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim().parse();
            let id = id.with_context(|| format!("{} is no id of a server", path.display()))?;
            Ok(ServerId(id))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = ServerId::new();
            let half = path.with_extension("half");
            fs::write(&half, format!("{id}\n"))?;
            fs::rename(half, path)?;
            Ok(id)
        }
        Err(error) => Err(error.into()),
    }
}

/// Which versions of the master key a running server has; `None` when none runs.
///
/// # Errors
/// The file system's own.
pub fn versions_of_running(data_dir: &Path) -> anyhow::Result<Option<Vec<i32>>> {
    if take(data_dir, SERVER)?.is_some() {
        return Ok(None);
    }
    let mut text = String::new();
    open(data_dir, SERVER)?.read_to_string(&mut text)?;
    let versions = text.split_whitespace().map(str::parse);
    Ok(Some(versions.collect::<Result<_, _>>()?))
}

fn take(data_dir: &Path, name: &str) -> anyhow::Result<Option<File>> {
    let file = open(data_dir, name)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn open(data_dir: &Path, name: &str) -> anyhow::Result<File> {
    let path = data_dir.join(name);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))
}

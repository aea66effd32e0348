//! The files of /etc that are made up: the host's own would tell of its accounts and its network.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

const FILES: [(&str, &str); 4] = [
    (
        "passwd",
        "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n\
        agent:x:1000:1000:agent:/home/agent:/bin/bash\n\
        nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("group", "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n"),
    ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    (
        "nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    ),
];

/// Where they are on the host: files, since bubblewrap takes nothing else without being forked by
/// hand.
#[derive(Debug, Clone)]
pub(super) struct Etc {
    directory: PathBuf,
    _temporary: Option<Arc<TempDir>>,
}

impl Etc {
    /// Writes them, unless they are there: to a directory that stays, or to a temporary one that
    /// goes with this value.
    pub(super) fn write(directory: Option<&Path>) -> io::Result<Self> {
        let temporary = match directory {
            Some(_) => None,
            None => Some(Arc::new(tempfile::tempdir()?)),
        };
        let kept = temporary.as_ref().map(|temporary| temporary.path());
        let directory = directory
            .or(kept)
            .unwrap_or(Path::new("/nonexistent"))
            .to_owned();
        fs::create_dir_all(&directory)?;
        for (name, text) in FILES {
            put(&directory.join(name), text)?;
        }
        Ok(Self {
            directory,
            _temporary: temporary,
        })
    }

    /// Each file, and its name below /etc.
    pub(super) fn files(&self) -> impl Iterator<Item = (PathBuf, &'static str)> {
        FILES
            .iter()
            .map(|(name, _)| (self.directory.join(name), *name))
    }
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    fs::write(path, text)
}

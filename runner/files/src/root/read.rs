//! Reading files, and whole directories as archives.

use super::entry::{Entry, Kind};
use super::error::is_no_directory;
use super::{Error, Result, Root};
use crate::export::export_zip;
use crate::limits::Limits;
use crate::summary::Summary;
use crate::tree_path::TreePath;
use cap_fs_ext::OpenOptionsSyncExt;
use cap_std::fs::{File, OpenOptions};
use rustix::io::Errno;
use std::io::Write;
use std::os::unix::fs::FileExt;

/// An open file, and what it was when it was opened.
#[derive(Debug)]
pub struct Reader {
    /// The file; its etag is the one to compare with.
    pub entry: Entry,
    file: std::fs::File,
}

impl Root {
    /// Opens a regular file, through links that stay in the tree. Waits for nothing, as a named
    /// pipe would have one wait.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotAFile`].
    pub fn read(&self, path: &TreePath) -> Result<Reader> {
        let not_a_file = || Error::NotAFile(path.clone());
        let mut options = OpenOptions::new();
        options.read(true).nonblock(true);
        let opened = self.files.open_with(path.as_path(), &options);
        let file: File = opened.map_err(|error| {
            match error.raw_os_error().map(Errno::from_raw_os_error) {
                // A socket, or a device without a driver.
                Some(Errno::NXIO | Errno::NODEV) => not_a_file(),
                _ if is_no_directory(&error) => Error::NotFound,
                _ => error.into(),
            }
        })?;
        let entry = Entry::of_handle(&file, path.clone())?;
        if entry.kind != Kind::File {
            return Err(not_a_file());
        }
        let file = file.into_std();
        Ok(Reader { entry, file })
    }

    /// Writes a directory as a zip archive, as [`export_zip`] does.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADirectory`]; [`Error::Archive`] in the middle.
    pub fn export(&self, path: &TreePath, out: impl Write, limits: &Limits) -> Result<Summary> {
        let directory = self.directory(path)?;
        Ok(export_zip(&directory, out, limits)?)
    }
}

impl Reader {
    /// The file itself, to be read from its beginning without looking whether it changes.
    pub(crate) fn into_file(self) -> std::fs::File {
        self.file
    }

    /// Reads at most `length` bytes from `offset` on; fewer only at the end.
    ///
    /// # Errors
    /// [`Error::Stale`] when the contents changed since the file was opened.
    pub fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self
                .file
                .read_at(&mut bytes[filled..], offset + filled as u64)?
            {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        let now = Entry::of_handle(&self.file, TreePath::top())?;
        let same = now.modified == self.entry.modified && now.size == self.entry.size;
        if same { Ok(bytes) } else { Err(Error::Stale) }
    }
}

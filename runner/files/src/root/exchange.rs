//! Putting another tree in the place of the whole: one exchange of two directories, so that a
//! process which dies leaves either the old tree or the new one, and never some of both.

use super::change::{descend, put};
use super::staging::{Staged, new_file};
use super::{Amount, Error, FILES, Result, Root};
use crate::tree_path::TreePath;
use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, MetadataExt};
use rustix::fs::{RenameFlags, renameat_with};
use std::io::{self, Write};

/// In a staged directory: the new tree, and after the exchange the old one.
const OTHER: &str = "other";
/// Beside it: the new tree's inode, and after it, each after a NUL, the paths of the old tree that
/// are moved into the new one.
const EXCHANGE: &str = "exchange";

impl Root {
    /// What may still be added to the workspace; everything if nobody has measured it.
    #[must_use]
    pub fn room(&self) -> Amount {
        self.usage.room()
    }

    /// Makes a tree with `make`, which is given this one and an empty directory, and puts it in the
    /// place of this one. `make` answers what the new tree takes over from this one as it is: paths
    /// of which none is in the new tree, nor anything but directories above them. This root still
    /// holds what was there before, which is removed: open another. The caller holds the account
    /// [`as a whole`](super::Usage::as_a_whole).
    ///
    /// A process that dies before the exchange leaves the old tree; after it, the new one, in which
    /// [`Root::recover`] puts what it takes over.
    ///
    /// # Errors
    /// What `make` answers; [`Error::AlreadyExists`] or [`Error::NotADirectory`] when something in
    /// the new tree is in the way of what it takes over. Then nothing has changed.
    pub fn exchange<E: From<Error>>(
        &self,
        make: impl FnOnce(&Dir, &Dir) -> std::result::Result<Vec<TreePath>, E>,
    ) -> std::result::Result<(), E> {
        let staged = Staged::new(self)?;
        let own = staged.directory();
        let made = own
            .create_dir(OTHER)
            .and_then(|()| own.open_dir_nofollow(OTHER));
        let other = made.map_err(Error::from)?;
        let keeps = make(&self.files, &other)?;
        Ok(self.take_place(&staged, &other, &keeps)?)
    }

    fn take_place(&self, staged: &Staged, new: &Dir, keeps: &[TreePath]) -> Result<()> {
        for path in keeps {
            make_way(new, path)?;
        }
        let own = staged.directory();
        let mut note = new_file(own, EXCHANGE.as_ref(), false)?;
        let inode = new.dir_metadata()?.ino().to_le_bytes();
        note.write_all(&inode)?;
        for path in keeps {
            note.write_all(b"\0")?;
            note.write_all(path.as_bytes())?;
        }
        note.sync_data()?;
        renameat_with(&self.base, FILES, own, OTHER, RenameFlags::EXCHANGE)?;
        let Err((moved, error)) = take_all(&self.files, new, keeps) else {
            return Ok(());
        };
        // What can't be taken over must not be lost: back to how it was.
        take_all(new, &self.files, &keeps[..moved]).map_err(|(_, error)| error)?;
        renameat_with(&self.base, FILES, own, OTHER, RenameFlags::EXCHANGE)?;
        Err(error)
    }

    /// Finishes an exchange that was made.
    pub(super) fn finish_exchange(&self, staged: &Dir) -> Result<()> {
        let (Ok(note), Ok(old)) = (staged.read(EXCHANGE), staged.open_dir_nofollow(OTHER)) else {
            return Ok(());
        };
        let Some((inode, paths)) = note.split_first_chunk() else {
            return Ok(());
        };
        if self.files.dir_metadata()?.ino() != u64::from_le_bytes(*inode) {
            return Ok(());
        }
        for path in paths.split(|byte| *byte == 0).skip(1) {
            if let Ok(path) = TreePath::from_bytes(path) {
                // What was taken over already is not there any more.
                let _ = take_over(&old, &self.files, &path);
            }
        }
        Ok(())
    }
}

/// Makes the directories above a path, and sees that nothing is there.
fn make_way(tree: &Dir, path: &TreePath) -> Result<()> {
    let (parent, name) = path.split().ok_or(Error::Top)?;
    let mut directory = tree.try_clone()?;
    for name in parent.names() {
        match directory.create_dir(name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let opened = directory.open_dir_nofollow(name);
        directory = opened.map_err(|_| Error::NotADirectory(path.clone()))?;
    }
    match directory.symlink_metadata(name) {
        Ok(_) => Err(Error::AlreadyExists(path.clone())),
        Err(_) => Ok(()),
    }
}

/// Takes over what is still there; an error says how many came before it.
fn take_all(old: &Dir, new: &Dir, paths: &[TreePath]) -> std::result::Result<(), (usize, Error)> {
    for (taken, path) in paths.iter().enumerate() {
        match take_over(old, new, path) {
            Ok(()) | Err(Error::NotFound) => {}
            Err(error) => return Err((taken, error)),
        }
    }
    Ok(())
}

fn take_over(old: &Dir, new: &Dir, path: &TreePath) -> Result<()> {
    let (parent, name) = path.split().ok_or(Error::Top)?;
    put(
        &descend(old, &parent)?,
        name,
        &descend(new, &parent)?,
        name,
        path,
    )
}

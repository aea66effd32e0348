//! Going through a tree, without recursion and with few handles, and adding up what is in it.

use super::change::descend;
use super::entry::{Kind, bytes_of, look};
use super::trash::is_trashed;
use super::usage::Amount;
use super::{Error, Result, Root, TRASH};
use crate::staging::names;
use crate::tree_path::TreePath;
use cap_std::fs::Dir;
use rustix::fs::Stat;
use std::ffi::OsStr;

/// Something that a walk has met.
pub(super) struct Met<'a> {
    /// The directory that holds it.
    pub(super) parent: &'a Dir,
    /// Its name there.
    pub(super) name: &'a OsStr,
    /// Where it is, from the top of the walk.
    pub(super) path: &'a TreePath,
    /// What it is.
    pub(super) stat: &'a Stat,
}

/// Shows everything beneath a directory, directories before what they hold, through no link. What
/// goes meanwhile is passed over.
///
/// # Errors
/// What `visit` answers, and [`Error::Path`] for what no path can name, if `strict`.
pub(super) fn walk(
    top: &Dir,
    strict: bool,
    mut visit: impl FnMut(Met<'_>) -> Result<()>,
) -> Result<()> {
    let mut left = vec![TreePath::top()];
    while let Some(path) = left.pop() {
        let directory = match descend(top, &path) {
            Err(Error::NotFound | Error::NotADirectory(_)) => continue,
            Err(Error::Denied) if !strict => continue,
            opened => opened?,
        };
        for name in names(&directory)? {
            let Some(stat) = look(&directory, &name)? else {
                continue;
            };
            let path = match path.join(&name) {
                Err(_) if !strict => continue,
                path => path?,
            };
            visit(Met {
                parent: &directory,
                name: &name,
                path: &path,
                stat: &stat,
            })?;
            if Kind::of(&stat) == Kind::Directory {
                left.push(path);
            }
        }
    }
    Ok(())
}

impl Root {
    /// Adds up the tree and the trash, and takes the sum, with what else there is, as what the
    /// workspace uses.
    ///
    /// # Errors
    /// The file system's own.
    pub fn measure(&self, beside: Amount) -> Result<Amount> {
        let mut sum = beside;
        let mut add = |met: &Met<'_>| {
            let is_file = Kind::of(met.stat) == Kind::File;
            sum = sum.plus(Amount::file(if is_file { bytes_of(met.stat) } else { 0 }));
        };
        walk(&self.files, false, |met| {
            add(&met);
            Ok(())
        })?;
        walk(&self.beside(TRASH)?, false, |met| {
            if is_trashed(&met) {
                add(&met);
            }
            Ok(())
        })?;
        self.usage.set(sum);
        Ok(sum)
    }

    /// Takes room for something that will be put into the tree later. To be given back with
    /// [`super::Usage::release`].
    ///
    /// # Errors
    /// A quota.
    pub fn reserve(&self, amount: Amount) -> Result<()> {
        self.usage.reserve(amount)?.keep();
        Ok(())
    }
}

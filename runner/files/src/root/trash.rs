//! The trash: what was deleted, each in a directory of its own beside the path that it had.

use super::change::put;
use super::entry::{Entry, Etag, look};
use super::measure::Met;
use super::remove::remove;
use super::staging::{Staged, new_file};
use super::{Error, Result, Root, TRASH, open_directory};
use crate::staging::names;
use crate::tree_path::TreePath;
use cap_std::fs::Dir;
use std::fmt;
use std::io::Write;
use std::str::FromStr;

/// The deleted thing.
const ITEM: &str = "item";
/// The path that it had, as its bytes.
const PATH: &str = "path";

/// Names something in the trash. Later ones sort after earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrashId {
    /// When it was deleted, in milliseconds since the Unix epoch; not negative.
    pub time: i64,
    /// A number that no other has.
    pub number: u128,
}

/// Something in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrashItem {
    /// Its name there.
    pub id: TrashId,
    /// What it is, and the path that it had.
    pub entry: Entry,
}

impl fmt::Display for TrashId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:015}-{:032x}", self.time, self.number)
    }
}

impl FromStr for TrashId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (time, number) = text.split_once('-')?;
            let time = time.parse().ok()?;
            let number = u128::from_str_radix(number, 16).ok()?;
            Some(Self { time, number })
        };
        let id: Self = parse().ok_or(Error::NotFound)?;
        if id.to_string() != text {
            return Err(Error::NotFound);
        }
        Ok(id)
    }
}

impl Root {
    /// Moves anything but the top to the trash.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`], [`Error::Top`].
    pub fn delete(&self, path: &TreePath, etag: Option<&Etag>, id: TrashId) -> Result<TrashItem> {
        let (parent, name) = path.split().ok_or(Error::Top)?;
        let parent = match self.descend(&parent) {
            Err(Error::NotADirectory(_)) => return Err(Error::NotFound),
            parent => parent?,
        };
        self.check_etag(&parent, name, path, etag)?;
        let trash = self.beside(TRASH)?;
        let (own, item) = (id.to_string(), ITEM.as_ref());
        trash.create_dir(&own)?;
        let directory = open_directory(&trash, own.as_ref())?;
        new_file(&directory, PATH.as_ref(), false)?.write_all(path.as_bytes())?;
        let turn = self.usage.change();
        let moved = self
            .check_etag(&parent, name, path, etag)
            .and_then(|_| put(&parent, name, &directory, item, path));
        drop(turn);
        if let Err(error) = moved {
            remove(&trash, own.as_ref())?;
            return Err(error);
        }
        let entry = Entry::of(&directory, item, path.clone())?;
        Ok(TrashItem { id, entry })
    }

    /// Lists at most `size` things, the latest first, that were deleted before another.
    ///
    /// # Errors
    /// The file system's own.
    pub fn trash(&self, before: Option<TrashId>, size: usize) -> Result<Vec<TrashItem>> {
        let trash = self.beside(TRASH)?;
        let mut ids = ids(&trash)?;
        ids.retain(|id| before.is_none_or(|before| *id < before));
        ids.sort_unstable_by(|left, right| right.cmp(left));
        let mut items = Vec::new();
        for id in ids {
            if items.len() == size {
                break;
            }
            match trashed(&trash, id) {
                Ok((_, item)) => items.push(item),
                // Restored, or never completely deleted.
                Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(items)
    }

    /// Puts something back where it was, or elsewhere, and makes the directories on the way.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AlreadyExists`], [`Error::NotADirectory`].
    pub fn restore(&self, id: TrashId, to: Option<&TreePath>) -> Result<Entry> {
        let trash = self.beside(TRASH)?;
        let (directory, item) = trashed(&trash, id)?;
        let path = to.unwrap_or(&item.entry.path);
        let (parent, name) = path.split().ok_or(Error::Top)?;
        let parent = self.make_directories(&parent)?;
        let turn = self.usage.change();
        put(&directory, ITEM.as_ref(), &parent, name, path)?;
        drop(turn);
        // An empty directory in the trash is nothing; the next purge takes it.
        let _ = remove(&trash, id.to_string().as_ref());
        Entry::of(&parent, name, path.clone())
    }

    /// Removes for good what was deleted before a time, in milliseconds since the Unix epoch, or
    /// everything. Answers how many things that were.
    ///
    /// # Errors
    /// The file system's own; some things are then gone.
    pub fn purge(&self, before: Option<i64>) -> Result<u64> {
        let trash = self.beside(TRASH)?;
        let mut purged = 0;
        let mut failed = None;
        for id in ids(&trash)? {
            if before.is_some_and(|before| id.time >= before) {
                continue;
            }
            match self.purge_one(&trash, id) {
                Ok(had_item) => purged += u64::from(had_item),
                // One that can't be removed keeps no other.
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(purged), Err)
    }

    fn purge_one(&self, trash: &Dir, id: TrashId) -> Result<bool> {
        let doomed = Staged::new(self)?;
        let name = id.to_string();
        let turn = self.usage.change();
        let had_item = trashed(trash, id).is_ok();
        let (to, item) = (doomed.directory(), ITEM.as_ref());
        match put(trash, name.as_ref(), to, item, &TreePath::top()) {
            Err(Error::NotFound) => return Ok(false),
            moved => moved?,
        }
        drop(turn);
        // What the trash itself needs was never counted.
        let own = open_directory(doomed.directory(), item)?;
        remove(&own, PATH.as_ref())?;
        let mut removed = remove(doomed.directory(), item)?;
        removed.entries = removed.entries.saturating_sub(1);
        self.usage.release(removed);
        Ok(had_item)
    }
}

/// Whether a walk through the trash has met a deleted thing or a part of one, and not what the
/// trash itself needs.
pub(super) fn is_trashed(met: &Met<'_>) -> bool {
    met.path.names().nth(1).is_some_and(|name| name == ITEM)
}

fn ids(trash: &Dir) -> Result<Vec<TrashId>> {
    let names = names(trash)?;
    let ids = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    Ok(ids.collect())
}

fn trashed(trash: &Dir, id: TrashId) -> Result<(Dir, TrashItem)> {
    let directory = open_directory(trash, id.to_string().as_ref())?;
    let item = ITEM.as_ref();
    look(&directory, item)?.ok_or(Error::NotFound)?;
    let path = TreePath::from_bytes(&directory.read(PATH)?)?;
    let entry = Entry::of(&directory, item, path)?;
    Ok((directory, TrashItem { id, entry }))
}

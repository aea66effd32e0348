//! Which contents the store has, asked often: one listing for each of its directories.

use crate::store::blobs::{Store, path};
use crate::store::digest::Digest;
use crate::store::error::StoreError;
use std::collections::{HashMap, HashSet};
use std::io;

/// Answers from listings that are made when they are first needed. It takes some hundred bytes for
/// each of the store's contents.
pub(super) struct Presence<'s> {
    store: &'s Store,
    /// The names in each directory beneath `blobs`.
    listed: HashMap<u8, HashSet<Box<[u8]>>>,
}

impl<'s> Presence<'s> {
    pub(super) fn new(store: &'s Store) -> Self {
        let listed = HashMap::new();
        Self { store, listed }
    }

    pub(super) fn of(&mut self, digest: &Digest) -> Result<bool, StoreError> {
        let path = path(digest);
        let (shard, name) = path.split_at(2);
        let first = digest.as_bytes()[0];
        if !self.listed.contains_key(&first) {
            let listed = list(self.store, shard);
            let listed = listed.map_err(StoreError::io("listing the store"))?;
            self.listed.insert(first, listed);
        }
        let listed = self.listed.get(&first);
        Ok(listed.is_some_and(|listed| listed.contains(&name.as_bytes()[1..])))
    }
}

fn list(store: &Store, shard: &str) -> io::Result<HashSet<Box<[u8]>>> {
    let directory = match store.blobs.open_dir(shard) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
        Err(error) => return Err(error),
    };
    let names = crate::staging::names(&directory)?;
    let names = names
        .into_iter()
        .map(|name| name.into_encoded_bytes().into_boxed_slice());
    Ok(names.collect())
}

//! Which contents a file had when its metadata was last seen, so that what did not change is not
//! read again. The same idea as git's index, with the same rule for what changed too recently.
//!
//! The encoded form: the magic `MBRNSTAT`, the version as one byte, the number of paths; for each
//! its path as bytes, five numbers (modification time and status change time in nanoseconds, size,
//! inode, mode) and the digest; at last the BLAKE3 digest of all that. Paths are in no order.

use crate::store::blobs::{Store, Temporary};
use crate::store::codec::{Decoder, Malformed, put_bytes, put_number};
use crate::store::digest::Digest;
use crate::store::error::StoreError;
use crate::tree_path::TreePath;
use rustix::fs::{Mode, OFlags, Stat, openat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};

const MAGIC: &[u8; 8] = b"MBRNSTAT";
const VERSION: u8 = 1;
const INDEX: &str = "index";
/// Most bytes of an index that are read.
const MAX_BYTES: u64 = 512 << 20;
/// How much older than the scan a file's times must be, so that it can't be written to once more
/// without a later time: the coarsest times of file systems are two seconds apart.
const RACY_NANOSECONDS: i128 = 2_000_000_000;

/// What metadata says about whether a file was written to. Times are in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: u64,
    changed: u64,
    size: u64,
    inode: u64,
    mode: u32,
}

impl Stamp {
    /// `None` for times before 1970 and after 2500, which are not worth remembering.
    #[expect(
        clippy::unnecessary_cast,
        reason = "the types differ between architectures"
    )]
    pub(super) fn of(stat: &Stat) -> Option<Self> {
        Some(Self {
            modified: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as u64)?,
            changed: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as u64)?,
            size: stat.st_size as u64,
            inode: stat.st_ino as u64,
            mode: stat.st_mode as u32,
        })
    }

    /// Whether the file changed so shortly before `now`, in nanoseconds, or after it, that it
    /// could change again and look the same.
    pub(super) fn is_racy(&self, now: i128) -> bool {
        let latest = i128::from(self.modified.max(self.changed));
        latest + RACY_NANOSECONDS > now
    }
}

fn nanoseconds(seconds: i64, rest: u64) -> Option<u64> {
    let seconds = u64::try_from(seconds).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(rest)
}

/// Which contents each path had when it was last scanned. It is only as good as the store it was
/// made with, where it is kept as `index`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatCache {
    files: HashMap<TreePath, (Stamp, Digest)>,
}

impl StatCache {
    /// How many files it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// All contents that it may say a file has.
    pub(super) fn digests(&self) -> impl Iterator<Item = Digest> {
        self.files.values().map(|(_, digest)| *digest)
    }

    /// The contents of a file whose metadata is as it was.
    pub(super) fn find(&self, path: &TreePath, stamp: &Stamp) -> Option<Digest> {
        let (known, digest) = self.files.get(path)?;
        (known == stamp).then_some(*digest)
    }

    pub(super) fn insert(&mut self, path: TreePath, stamp: Stamp, digest: Digest) {
        self.files.insert(path, (stamp, digest));
    }

    /// The encoded form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        put_number(&mut out, self.files.len() as u64);
        for (path, (stamp, digest)) in &self.files {
            put_bytes(&mut out, path.as_bytes());
            put_number(&mut out, stamp.modified);
            put_number(&mut out, stamp.changed);
            put_number(&mut out, stamp.size);
            put_number(&mut out, stamp.inode);
            put_number(&mut out, u64::from(stamp.mode));
            out.extend_from_slice(digest.as_bytes());
        }
        let sum = Digest::of(&out);
        out.extend_from_slice(sum.as_bytes());
        out
    }

    /// Takes the encoded form; `None` when it is damaged or of another version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<32>()?;
        if Digest::of(body).as_bytes() != sum {
            return None;
        }
        files(body).ok().map(|files| Self { files })
    }
}

fn files(body: &[u8]) -> Result<HashMap<TreePath, (Stamp, Digest)>, Malformed> {
    let mut decoder = Decoder::new(body);
    if decoder.take(MAGIC.len())? != MAGIC || decoder.byte()? != VERSION {
        return Err(Malformed);
    }
    let mut files = HashMap::new();
    for _ in 0..decoder.number()? {
        let path = TreePath::from_bytes(decoder.bytes()?).map_err(|_| Malformed)?;
        let stamp = Stamp {
            modified: decoder.number()?,
            changed: decoder.number()?,
            size: decoder.number()?,
            inode: decoder.number()?,
            mode: u32::try_from(decoder.number()?).map_err(|_| Malformed)?,
        };
        files.insert(path, (stamp, Digest::from_bytes(decoder.array()?)));
    }
    match decoder.is_empty() {
        true => Ok(files),
        false => Err(Malformed),
    }
}

impl Store {
    /// Reads the cache that was written last; an empty one if there is none or it is damaged.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn read_index(&self) -> Result<StatCache, StoreError> {
        let doing = "reading the store's index";
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.directory, INDEX, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(StatCache::default()),
            Err(error) => return Err(StoreError::io(doing)(error)),
        };
        let mut bytes = Vec::new();
        let read = file.take(MAX_BYTES).read_to_end(&mut bytes);
        read.map_err(StoreError::io(doing))?;
        Ok(StatCache::decode(&bytes).unwrap_or_default())
    }

    /// Writes a cache in place of the one before, whole or not at all.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn write_index(&self, cache: &StatCache) -> Result<(), StoreError> {
        let (mut file, temporary) = Temporary::create(self)?;
        let written = file.write_all(&cache.encode());
        written.map_err(StoreError::io("writing the store's index"))?;
        temporary.rename(&self.directory, INDEX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cache(paths: &[(String, u64, u32)]) -> StatCache {
        let mut cache = StatCache::default();
        for (path, number, mode) in paths {
            let stamp = Stamp {
                modified: *number,
                changed: number.rotate_left(7),
                size: number.rotate_left(23),
                inode: number.rotate_left(42),
                mode: *mode,
            };
            let path = path.parse().expect("a path");
            cache.insert(path, stamp, Digest::of(&number.to_le_bytes()));
        }
        cache
    }

    proptest! {
        #[test]
        fn a_cache_comes_back_as_it_was(
            paths in prop::collection::vec(("[a-z\n]{1,9}", any::<u64>(), any::<u32>()), 0..9),
        ) {
            let cache = cache(&paths);
            prop_assert_eq!(StatCache::decode(&cache.encode()), Some(cache));
        }

        #[test]
        fn a_damaged_cache_is_none(
            at in any::<prop::sample::Index>(),
            damage in 1..=u8::MAX,
        ) {
            let mut bytes = cache(&[("a".into(), 7, 8), ("b".into(), 9, 9)]).encode();
            let at = at.index(bytes.len());
            bytes[at] ^= damage;
            prop_assert_eq!(StatCache::decode(&bytes), None);
            prop_assert_eq!(StatCache::decode(&bytes[..at]), None);
        }

        #[test]
        fn any_bytes_with_their_sum_are_taken_or_refused(
            mut bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut whole = [&MAGIC[..], &[VERSION]].concat();
            whole.append(&mut bytes);
            let sum = Digest::of(&whole);
            whole.extend_from_slice(sum.as_bytes());
            let _ = StatCache::decode(&whole);
        }
    }
}

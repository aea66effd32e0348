//! Contents under their digests: `blobs/ab/cdef…`, complete or not there at all.

use crate::store::digest::Digest;
use crate::store::error::StoreError;
use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;
use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, flock, fstat, mkdirat,
    openat, renameat, statat, unlinkat, utimensat,
};
use rustix::io::{Errno, retry_on_intr};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

const BLOBS: &str = "blobs";
const TEMPORARY: &str = "tmp";
const WRITING: &str = "writing to the store";
const READING: &str = "reading from the store";
/// Bytes that are held of contents while they are stored. What fits is not written at all if the
/// store has it already.
const BUFFER: usize = 128 << 10;

/// Numbers temporary files of this process, of whatever store.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A store in a directory of its own, which nobody else writes to. Handles in several threads and
/// processes may put, get and collect at the same time.
#[derive(Debug)]
pub struct Store {
    pub(super) directory: Dir,
    pub(super) blobs: Dir,
    pub(super) temporary: Dir,
}

/// Stored contents, not verified.
#[derive(Debug)]
pub struct Blob {
    file: File,
    bytes: u64,
}

impl Store {
    /// Opens a store, making what is not there yet.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn open(directory: Dir) -> Result<Self, StoreError> {
        let blobs = subdirectory(&directory, BLOBS)?;
        let temporary = subdirectory(&directory, TEMPORARY)?;
        Ok(Self {
            directory,
            blobs,
            temporary,
        })
    }

    /// Removes what a killed process left. To be called when nobody else uses the store.
    ///
    /// # Errors
    /// When the directory cannot be read or written to.
    pub fn recover(&self) -> Result<(), StoreError> {
        let names = crate::staging::names(&self.temporary).map_err(StoreError::io(READING))?;
        for name in names {
            let removed = unlinkat(&self.temporary, &name, AtFlags::empty());
            gone(removed).map_err(StoreError::io("removing a temporary file"))?;
        }
        Ok(())
    }

    /// Stores what the reader has, and returns its digest and its size in bytes.
    ///
    /// Contents that are there already stay, and count as new for [`crate::store::collect`].
    ///
    /// # Errors
    /// [`StoreError::Source`] when the reader fails, [`StoreError::Io`] when writing does.
    pub fn put(&self, reader: impl Read) -> Result<(Digest, u64), StoreError> {
        let put = self.put_at_most(reader, u64::MAX)?;
        put.ok_or_else(|| StoreError::Source(io::ErrorKind::FileTooLarge.into()))
    }

    /// The same for bytes in memory.
    ///
    /// # Errors
    /// When writing fails.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        self.put_whole(digest, bytes)?;
        Ok(digest)
    }

    /// Stores what the reader has unless it has more than `limit` bytes.
    pub(super) fn put_at_most(
        &self,
        mut reader: impl Read,
        limit: u64,
    ) -> Result<Option<(Digest, u64)>, StoreError> {
        let mut head = Vec::new();
        let small = (&mut reader).take(BUFFER as u64).read_to_end(&mut head);
        small.map_err(StoreError::Source)?;
        if head.len() as u64 > limit {
            return Ok(None);
        }
        if head.len() < BUFFER {
            return Ok(Some((self.put_bytes(&head)?, head.len() as u64)));
        }
        self.put_large(head, reader, limit)
    }

    fn put_whole(&self, digest: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        if self.touch(&digest, bytes.len() as u64)? {
            return Ok(());
        }
        let (mut file, temporary) = Temporary::create(self)?;
        file.write_all(bytes).map_err(StoreError::io(WRITING))?;
        temporary.place(&digest)
    }

    fn put_large(
        &self,
        mut buffer: Vec<u8>,
        mut reader: impl Read,
        limit: u64,
    ) -> Result<Option<(Digest, u64)>, StoreError> {
        let (mut file, temporary) = Temporary::create(self)?;
        let mut hasher = blake3::Hasher::new();
        let (mut total, mut length) = (0, buffer.len());
        while length > 0 {
            total += length as u64;
            if total > limit {
                return Ok(None);
            }
            hasher.update(&buffer[..length]);
            let written = file.write_all(&buffer[..length]);
            written.map_err(StoreError::io(WRITING))?;
            length = read_some(&mut reader, &mut buffer).map_err(StoreError::Source)?;
        }
        let digest = Digest::from(hasher.finalize());
        if !self.touch(&digest, total)? {
            temporary.place(&digest)?;
        }
        Ok(Some((digest, total)))
    }

    /// Makes contents of so many bytes that are there count as new for [`crate::store::collect`],
    /// and answers whether they are. What has another size, which otherwise only a loss of power
    /// leaves, counts as not being there.
    ///
    /// # Errors
    /// When that cannot be seen or written.
    pub fn touch(&self, digest: &Digest, bytes: u64) -> Result<bool, StoreError> {
        let _putting = self.lock(FlockOperation::LockShared)?;
        let path = path(digest);
        match statat(&self.blobs, &path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if stat.st_size as u64 == bytes => {}
            Ok(_) | Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(StoreError::io(READING)(error)),
        }
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: now,
            last_modification: now,
        };
        utimensat(&self.blobs, &path, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(StoreError::io(WRITING))?;
        Ok(true)
    }

    /// Locks the store: shared to make contents count as new, exclusively to remove what does
    /// not. The lock ends with the value.
    pub(super) fn lock(&self, operation: FlockOperation) -> Result<OwnedFd, StoreError> {
        let doing = "locking the store";
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = openat(&self.directory, BLOBS, flags, Mode::empty());
        let handle = handle.map_err(StoreError::io(doing))?;
        retry_on_intr(|| flock(&handle, operation)).map_err(StoreError::io(doing))?;
        Ok(handle)
    }

    /// Opens contents, without verifying them.
    ///
    /// # Errors
    /// When they are missing or cannot be read.
    pub fn get(&self, digest: &Digest) -> Result<Blob, StoreError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&self.blobs, path(digest), flags, Mode::empty());
        let opened = opened.map_err(|error| missing(error, digest))?;
        let stat = fstat(&opened).map_err(StoreError::io(READING))?;
        Ok(Blob {
            file: File::from(opened),
            bytes: stat.st_size as u64,
        })
    }

    /// Reads contents and verifies them.
    ///
    /// # Errors
    /// When they are missing, damaged or larger than `limit` bytes, or reading fails.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, StoreError> {
        let mut blob = self.get(digest)?;
        let (digest, bytes) = (*digest, blob.len());
        if bytes > limit {
            return Err(StoreError::TooLarge {
                digest,
                bytes,
                limit,
            });
        }
        let mut contents = Vec::new();
        let read = (&mut blob).take(bytes).read_to_end(&mut contents);
        read.map_err(StoreError::io(READING))?;
        if Digest::of(&contents) != digest {
            return Err(StoreError::Damaged { digest });
        }
        Ok(contents)
    }

    /// Whether contents are there.
    ///
    /// # Errors
    /// When that cannot be seen.
    pub fn contains(&self, digest: &Digest) -> Result<bool, StoreError> {
        match self.size(digest) {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How many bytes contents have.
    ///
    /// # Errors
    /// When they are missing or cannot be seen.
    pub fn size(&self, digest: &Digest) -> Result<u64, StoreError> {
        let stat = statat(&self.blobs, path(digest), AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(|error| missing(error, digest))?;
        Ok(stat.st_size as u64)
    }
}

impl Blob {
    /// The size in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is the size of a file")]
    pub fn len(&self) -> u64 {
        self.bytes
    }
}

impl From<Blob> for File {
    fn from(blob: Blob) -> Self {
        blob.file
    }
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Blob {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// A file in `tmp`. Dropping it removes it unless it was kept.
pub(super) struct Temporary<'s> {
    store: &'s Store,
    name: Option<String>,
}

impl<'s> Temporary<'s> {
    pub(super) fn create(store: &'s Store) -> Result<(File, Self), StoreError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number}", std::process::id());
            match openat(&store.temporary, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => {
                    let name = Some(name);
                    return Ok((File::from(file), Self { store, name }));
                }
                // Another process had this number.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(StoreError::io(WRITING)(error)),
            }
        }
    }

    /// Gives the file its name as contents.
    fn place(self, digest: &Digest) -> Result<(), StoreError> {
        let (store, path) = (self.store, path(digest));
        match mkdirat(&store.blobs, &path[..2], Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => self.rename(&store.blobs, &path),
            Err(error) => Err(StoreError::io(WRITING)(error)),
        }
    }

    /// Moves the complete file to where it belongs, over what is there.
    pub(super) fn rename(mut self, to: &Dir, path: &str) -> Result<(), StoreError> {
        let Some(name) = &self.name else {
            return Ok(());
        };
        renameat(&self.store.temporary, name, to, path).map_err(StoreError::io(WRITING))?;
        self.name = None;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed here is removed by `recover`.
            let _ = unlinkat(&self.store.temporary, name, AtFlags::empty());
        }
    }
}

fn subdirectory(parent: &Dir, name: &str) -> Result<Dir, StoreError> {
    let doing = "opening the store";
    match mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(StoreError::io(doing)(error)),
    }
    parent
        .open_dir_nofollow(name)
        .map_err(StoreError::io(doing))
}

/// Where contents are, beneath `blobs`.
pub(super) fn path(digest: &Digest) -> String {
    let mut path = digest.hex();
    path.insert(2, '/');
    path
}

/// That a file is gone already is as good as having removed it.
pub(super) fn gone(removed: Result<(), Errno>) -> Result<(), Errno> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

fn missing(error: Errno, digest: &Digest) -> StoreError {
    match error {
        Errno::NOENT => StoreError::Missing { digest: *digest },
        error => StoreError::io(READING)(error),
    }
}

/// Reads until the buffer is full or nothing is left.
fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

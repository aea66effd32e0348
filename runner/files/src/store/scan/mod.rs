//! Looking at a tree: every entry's metadata, and the contents of those files only whose metadata
//! changed.
//!
//! The tree belongs to somebody else, who may change it at any moment and in any way. Each entry
//! is looked at by its own name beneath a handle of its directory, links are never followed,
//! nothing is waited for, and what was opened is looked at again.

mod hash;
mod presence;

use crate::staging::RESERVED_NAMES;
use crate::store::blobs::Store;
use crate::store::cache::{Stamp, StatCache};
use crate::store::error::StoreError;
use crate::store::manifest::{self, Entry, Manifest, ManifestError, Node, Skipped, Why};
use crate::tree_path::{MAX_DEPTH, TreePath};
use cap_std::fs::Dir;
use hash::{Hashed, Job, Workers};
use presence::Presence;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The file whose beginning says that its directory is a cache, <https://bford.info/cachedir/>.
const CACHE_TAG: &str = "CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";
/// How often something is looked at anew that changes what it is meanwhile.
const LOOKS: usize = 3;

/// What a scan takes in. Limits are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanOptions<'a> {
    /// Number of entries, skipped ones included. More are an error.
    pub max_entries: usize,
    /// Size of a file whose contents are kept, in bytes. A larger one is skipped.
    pub max_file_bytes: u64,
    /// Number of components of a path, at most 255. Directories whose entries would have more are
    /// skipped. A scan has as many directories open.
    pub max_depth: usize,
    /// Names of directories that are skipped wherever they are. Directories with a valid
    /// CACHEDIR.TAG are always skipped.
    pub excluded_names: &'a [&'a str],
}

impl Default for ScanOptions<'_> {
    /// A million entries, 1 GiB a file, 128 levels; without installed packages and bytecode.
    fn default() -> Self {
        Self {
            max_entries: 1_000_000,
            max_file_bytes: 1 << 30,
            max_depth: 128,
            excluded_names: &["node_modules", "__pycache__"],
        }
    }
}

/// What a scan found and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The tree.
    pub manifest: Manifest,
    /// What was done for it.
    pub summary: ScanSummary,
}

/// What was done to make a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanSummary {
    /// Entries of the manifest.
    pub entries: u64,
    /// Files whose contents were read.
    pub hashed_files: u64,
    /// Bytes that were read of them.
    pub hashed_bytes: u64,
}

/// Why there is no manifest. What could not be read of the tree is no reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The tree has too many entries.
    #[error("the tree has more than {limit} entries")]
    TooManyEntries {
        /// The most that are taken.
        limit: usize,
    },
    /// The paths are too long together.
    #[error("the tree makes no manifest")]
    Manifest(#[from] ManifestError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The top of the tree could not be read, or a thread not be started.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
}

impl ScanError {
    fn io<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Io {
            doing,
            source: error.into(),
        }
    }
}

/// Makes the manifest of a tree, and stores the contents of its files.
///
/// `cache` must come from this store's index, and is brought up to date; the caller writes it back.
/// `now` is the time at which the scan begins. The manifest is not saved.
///
/// The tree may change meanwhile. Then each file has contents that were read from it, though
/// perhaps not all from the same moment; what vanishes meanwhile is as if it had not been there.
/// Names at the top that an import uses itself are left out.
///
/// # Errors
/// When the tree is too large or the store fails. What cannot be read is listed as skipped.
pub fn scan(
    tree: &Dir,
    store: &Store,
    cache: &mut StatCache,
    now: SystemTime,
    options: &ScanOptions<'_>,
) -> Result<Scan, ScanError> {
    let top = Opened::again(tree.as_fd()).map_err(ScanError::io("opening the tree"))?;
    let (walked, hashed) = std::thread::scope(|scope| {
        let workers = Workers::start(scope, store, options.max_file_bytes)?;
        let mut walk = Walk {
            options,
            cache,
            fresh: StatCache::default(),
            now: nanoseconds(now),
            presence: Presence::new(store),
            workers: &workers,
            entries: Vec::new(),
            skipped: Vec::new(),
            met: 0,
            bytes: 0,
        };
        let walked = walk.children(&top, &TreePath::top(), 0);
        let found = (walk.entries, walk.skipped, walk.fresh, walk.now);
        let hashed = workers.finish();
        // The store's own failure is why the walk was stopped.
        let hashed = hashed?;
        walked?;
        Ok::<_, ScanError>((found, hashed))
    })?;
    let (mut entries, mut skipped, mut fresh, now) = walked;
    let mut summary = ScanSummary::default();
    for one in hashed {
        summary.hashed_files += 1;
        summary.hashed_bytes += one.bytes_read();
        put(one, now, &mut entries, &mut skipped, &mut fresh);
    }
    summary.entries = entries.len() as u64;
    let manifest = Manifest::new(entries, skipped)?;
    *cache = fresh;
    Ok(Scan { manifest, summary })
}

/// Takes in what a worker says of a file.
fn put(
    hashed: Hashed,
    now: i128,
    entries: &mut Vec<Entry>,
    skipped: &mut Vec<Skipped>,
    fresh: &mut StatCache,
) {
    let path = hashed.path;
    let (digest, size) = match hashed.outcome {
        Ok(contents) => contents,
        Err(why) => return skipped.push(Skipped { path, why }),
    };
    if let Some(stamp) = hashed.stamp.filter(|stamp| !stamp.is_racy(now)) {
        fresh.insert(path.clone(), stamp, digest);
    }
    let node = Node::File {
        digest,
        size,
        executable: hashed.executable,
    };
    entries.push(Entry { path, node });
}

/// Time since 1970 in nanoseconds; before it, 0, so that nothing is old enough to be trusted.
fn nanoseconds(now: SystemTime) -> i128 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

struct Walk<'a> {
    options: &'a ScanOptions<'a>,
    cache: &'a StatCache,
    fresh: StatCache,
    now: i128,
    presence: Presence<'a>,
    workers: &'a Workers<'a>,
    entries: Vec<Entry>,
    skipped: Vec<Skipped>,
    /// How many entries were met until now.
    met: usize,
    /// How many bytes their paths and targets have.
    bytes: usize,
}

/// What came of looking at an entry.
enum Look {
    Done,
    /// It became something else meanwhile.
    Changed,
}

impl Walk<'_> {
    fn children(
        &mut self,
        directory: &Opened,
        prefix: &TreePath,
        depth: usize,
    ) -> Result<(), ScanError> {
        let mut too_long = false;
        for name in &directory.names {
            let own = depth == 0 && RESERVED_NAMES.iter().any(|reserved| name == *reserved);
            if own {
                continue;
            }
            self.meet(prefix.as_bytes().len() + name.len() + 1)?;
            match prefix.join(name) {
                Ok(path) => self.entry(directory.handle.as_fd(), name, &path, depth)?,
                Err(_) => too_long = true,
            }
        }
        if too_long {
            // What has no valid path can't be listed; its directory stands for it.
            self.skip(prefix, Why::TooDeep);
        }
        Ok(())
    }

    fn meet(&mut self, bytes: usize) -> Result<(), ScanError> {
        self.met += 1;
        self.bytes += bytes;
        let limit = self.options.max_entries;
        if self.met > limit {
            return Err(ScanError::TooManyEntries { limit });
        }
        if self.bytes > manifest::MAX_BYTES {
            return Err(ManifestError::TooLarge.into());
        }
        Ok(())
    }

    fn skip(&mut self, path: &TreePath, why: Why) {
        let path = path.clone();
        self.skipped.push(Skipped { path, why });
    }

    fn record(&mut self, path: &TreePath, node: Node) {
        let path = path.clone();
        self.entries.push(Entry { path, node });
    }

    fn entry(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsString,
        path: &TreePath,
        depth: usize,
    ) -> Result<(), ScanError> {
        for _ in 0..LOOKS {
            let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => return Ok(()),
                Err(_) => break,
            };
            let looked = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => self.directory(parent, name, path, depth),
                FileType::Symlink => self.symlink(parent, name, path),
                FileType::RegularFile => self.file(parent, name, path, &stat),
                _ => {
                    self.skip(path, Why::Special);
                    Ok(Look::Done)
                }
            };
            if let Look::Done = looked? {
                return Ok(());
            }
        }
        self.skip(path, Why::Unreadable);
        Ok(())
    }

    fn directory(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsString,
        path: &TreePath,
        depth: usize,
    ) -> Result<Look, ScanError> {
        if self.options.excluded_names.iter().any(|own| name == *own) {
            self.skip(path, Why::Excluded);
            return Ok(Look::Done);
        }
        if depth + 2 > self.options.max_depth.min(MAX_DEPTH) {
            self.skip(path, Why::TooDeep);
            return Ok(Look::Done);
        }
        let directory = match Opened::new(parent, name) {
            Ok(directory) => directory,
            Err(error) => return Ok(self.unopened(error, path)),
        };
        if directory.is_cache() {
            self.skip(path, Why::Excluded);
            return Ok(Look::Done);
        }
        self.record(path, Node::Directory);
        self.children(&directory, path, depth + 1)?;
        Ok(Look::Done)
    }

    /// What an error says that opening an entry gave.
    fn unopened(&mut self, error: Errno, path: &TreePath) -> Look {
        match error {
            // Gone, or now a link, a file, a directory or a socket: the next look tells.
            Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO => {
                Look::Changed
            }
            _ => {
                self.skip(path, Why::Unreadable);
                Look::Done
            }
        }
    }

    fn symlink(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsString,
        path: &TreePath,
    ) -> Result<Look, ScanError> {
        let target = match readlinkat(parent, name, Vec::new()) {
            Ok(target) => target.into_bytes(),
            // It is no link any more.
            Err(Errno::INVAL | Errno::NOENT) => return Ok(Look::Changed),
            Err(error) => return Ok(self.unopened(error, path)),
        };
        self.bytes += target.len();
        self.record(path, Node::Symlink { target });
        Ok(Look::Done)
    }

    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsString,
        path: &TreePath,
        stat: &Stat,
    ) -> Result<Look, ScanError> {
        if self.known(path, stat)? {
            return Ok(Look::Done);
        }
        let (file, stat) = match open(parent, name) {
            Ok(opened) => opened,
            Err(error) => return Ok(self.unopened(error, path)),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(Look::Changed);
        }
        if size(&stat) > self.options.max_file_bytes {
            self.skip(path, Why::TooLarge);
            return Ok(Look::Done);
        }
        let path = path.clone();
        self.workers.hash(Job { path, file, stat });
        Ok(Look::Done)
    }

    /// Records a file without reading it, if its metadata and the store allow that.
    fn known(&mut self, path: &TreePath, stat: &Stat) -> Result<bool, ScanError> {
        let Some(stamp) = Stamp::of(stat) else {
            return Ok(false);
        };
        let Some(digest) = self.cache.find(path, &stamp) else {
            return Ok(false);
        };
        let size = size(stat);
        if size > self.options.max_file_bytes || !self.presence.of(&digest)? {
            return Ok(false);
        }
        self.fresh.insert(path.clone(), stamp, digest);
        let executable = is_executable(stat);
        self.record(
            path,
            Node::File {
                digest,
                size,
                executable,
            },
        );
        Ok(true)
    }
}

/// An open directory and the names in it, sorted.
struct Opened {
    handle: OwnedFd,
    names: Vec<OsString>,
}

impl Opened {
    fn new(parent: BorrowedFd<'_>, name: &OsString) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::list(openat(parent, name, flags, Mode::empty())?)
    }

    /// Opens the same directory once more, with a place in its listing of its own.
    fn again(directory: BorrowedFd<'_>) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::list(openat(directory, ".", flags, Mode::empty())?)
    }

    fn list(handle: OwnedFd) -> Result<Self, Errno> {
        let mut listing = rustix::fs::Dir::new(handle)?;
        let mut names = Vec::new();
        while let Some(entry) = listing.read() {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort_unstable();
        let handle = listing.fd()?.try_clone_to_owned();
        let handle = handle.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(Self { handle, names })
    }

    /// Whether the directory says of itself that it is a cache.
    fn is_cache(&self) -> bool {
        if !self.names.iter().any(|name| name == CACHE_TAG) {
            return false;
        }
        let Ok((file, stat)) = open(self.handle.as_fd(), &CACHE_TAG.into()) else {
            return false;
        };
        let mut head = Vec::new();
        let read = file
            .take(CACHE_SIGNATURE.len() as u64)
            .read_to_end(&mut head);
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && read.is_ok()
            && head == CACHE_SIGNATURE
    }
}

/// Opens whatever is there now, through no link, and without waiting.
fn open(parent: BorrowedFd<'_>, name: &OsString) -> Result<(File, Stat), Errno> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(parent, name, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    Ok((File::from(file), stat))
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

fn is_executable(stat: &Stat) -> bool {
    stat.st_mode & 0o100 != 0
}

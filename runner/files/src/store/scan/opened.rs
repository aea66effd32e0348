//! Directories and files of somebody else's tree, opened beneath a handle: through no link, and
//! without waiting.

use crate::staging::RESERVED_NAMES;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// The file whose beginning says that its directory is a cache, <https://bford.info/cachedir/>.
const CACHE_TAG: &str = "CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";
/// An open directory and the names in it, sorted.
pub(super) struct Opened {
    pub(super) handle: OwnedFd,
    /// Without `.` and `..`.
    pub(super) names: Vec<OsString>,
}

impl Opened {
    pub(super) fn new(parent: BorrowedFd<'_>, name: &OsString, room: usize) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::list(openat(parent, name, flags, Mode::empty())?, room)
    }

    /// Opens the same directory once more, with a place in its listing of its own.
    pub(super) fn again(directory: BorrowedFd<'_>, room: usize) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::list(openat(directory, ".", flags, Mode::empty())?, room)
    }

    /// Lists a directory, though hardly more of it than there is room for: taking in that much is
    /// refused, and a huge directory is not listed for it.
    fn list(handle: OwnedFd, room: usize) -> Result<Self, Errno> {
        let mut listing = rustix::fs::Dir::new(handle)?;
        let mut names = Vec::new();
        while names.len() <= room.saturating_add(RESERVED_NAMES.len())
            && let Some(entry) = listing.read()
        {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort_unstable();
        // A file system may list a name twice that changes meanwhile.
        names.dedup();
        let handle = listing.fd()?.try_clone_to_owned();
        let handle = handle.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(Self { handle, names })
    }

    /// Whether the directory says of itself that it is a cache.
    pub(super) fn is_cache(&self) -> bool {
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
pub(super) fn open(parent: BorrowedFd<'_>, name: &OsString) -> Result<(File, Stat), Errno> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(parent, name, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    Ok((File::from(file), stat))
}

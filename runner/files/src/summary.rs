//! What an import or export did, and what it left out.

use std::fmt;

/// The outcome of an accepted import or a finished export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Regular files.
    pub files: u64,
    /// Directories, including those only implied by the paths of others.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Sum of the sizes of all files, uncompressed, in bytes.
    pub total_bytes: u64,
    /// What was left out, in the order met. At most one per entry and kind.
    pub dropped: Vec<Dropped>,
}

/// Something that a tree may not carry and that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The path in the tree, escaped where it is not plain text.
    pub path: String,
    /// What was dropped there.
    pub kind: DroppedKind,
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DroppedKind {
    /// A character or block device; the entry is missing from the result.
    Device,
    /// A named pipe; the entry is missing from the result.
    Fifo,
    /// A socket; the entry is missing from the result.
    Socket,
    /// A setuid, setgid or sticky bit; the entry is there without it.
    ModeBits,
    /// A symbolic link of a local directory that leaves the tree; it is missing from the result.
    OutsideLink,
    /// A local file whose name no archive may carry; it is missing from the result.
    Name,
}

impl fmt::Display for DroppedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "device",
            Self::Fifo => "named pipe",
            Self::Socket => "socket",
            Self::ModeBits => "setuid, setgid or sticky bit",
            Self::OutsideLink => "link out of the tree",
            Self::Name => "name that cannot be carried",
        })
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path, self.kind)
    }
}

impl Summary {
    pub(crate) fn drop_entry(&mut self, path: &str, kind: DroppedKind) {
        self.dropped.push(Dropped {
            path: path.to_owned(),
            kind,
        });
    }
}

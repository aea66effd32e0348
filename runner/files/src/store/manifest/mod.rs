//! What a tree was: every path and what stood there.

use crate::store::blobs::Store;
use crate::store::digest::Digest;
use crate::store::error::StoreError;
use crate::tree_path::{PathError, TreePath};

mod form;

/// Most bytes that the paths and targets of a manifest have together, and its encoding has. It
/// bounds the memory that decoding takes.
pub(super) const MAX_BYTES: usize = 256 << 20;
/// Longest target of a link, in bytes; Linux allows no more.
const MAX_TARGET_BYTES: usize = 4_096;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// A directory. It is listed also when other entries imply it.
    Directory,
    /// A regular file. Of its mode only the owner's right to execute is kept.
    File {
        /// The digest of the contents, which the store has.
        digest: Digest,
        /// The size in bytes.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads, as the file system has it; it may be absolute or lead outside.
        target: Vec<u8>,
    },
}

/// A path and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Never the top.
    pub path: TreePath,
    /// What stands there.
    pub node: Node,
}

/// Why something is not in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// A named pipe, a socket or a device.
    Special,
    /// A directory of caches or installed packages, and all beneath it.
    Excluded,
    /// It could not be read, or did not stay the same kind of thing while it was looked at.
    Unreadable,
    /// A file with more bytes than are kept.
    TooLarge,
    /// A path that is too long or too deep, and all beneath it.
    TooDeep,
}

/// Something that is in the tree and not in its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is. What lies beneath it is not listed either.
    pub path: TreePath,
    /// Why it is not in the manifest.
    pub why: Why,
}

/// A tree as a value. Entries and skipped paths are in the order of their paths' bytes, none
/// twice, and whatever an entry lies beneath is listed as a directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    entries: Vec<Entry>,
    skipped: Vec<Skipped>,
}

/// Why something is no manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It does not begin like one.
    #[error("it does not begin like a manifest")]
    Magic,
    /// It was written by a newer program.
    #[error("version {0} of the form is not known")]
    Version(u8),
    /// It ends early, goes on after its end, or has a number or tag that means nothing.
    #[error("it is malformed")]
    Malformed,
    /// It is larger than any tree that is taken.
    #[error("it is too large")]
    TooLarge,
    /// A path is none within a tree.
    #[error("a path {0}")]
    Path(#[from] PathError),
    /// A path is the top, which is no entry of the tree.
    #[error("a path is empty")]
    Top,
    /// Paths are not in order, or one occurs twice.
    #[error("the paths are not in order, or one occurs twice")]
    Order,
    /// An entry lies beneath something that is not listed as a directory.
    #[error("an entry does not lie in a directory")]
    NoDirectory,
    /// A link has no target, one that is too long, or one with a NUL.
    #[error("a link has no valid target")]
    Target,
}

impl Manifest {
    /// Takes a tree, in any order.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn new(mut entries: Vec<Entry>, mut skipped: Vec<Skipped>) -> Result<Self, ManifestError> {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        skipped.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = Self { entries, skipped };
        manifest.check()?;
        Ok(manifest)
    }

    /// Every entry, in the order of the paths' bytes: a directory before what it contains.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is in the tree and not in the manifest, in the order of the paths' bytes.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// What stands at a path; `None` also for the top and for what was skipped.
    #[must_use]
    pub fn get(&self, path: &TreePath) -> Option<&Node> {
        let found = self.entries.binary_search_by(|entry| entry.path.cmp(path));
        found.ok().map(|at| &self.entries[at].node)
    }

    /// Whether the path or something above it was skipped, so that nothing is known of it.
    #[must_use]
    pub fn is_skipped(&self, path: &TreePath) -> bool {
        let mut at = Some(path.clone());
        while let Some(path) = at {
            let found = self.skipped.binary_search_by(|one| one.path.cmp(&path));
            if found.is_ok() {
                return true;
            }
            at = path.split().map(|(parent, _)| parent);
        }
        false
    }

    /// Names what is in the tree: equal for equal entries, whatever was skipped.
    #[must_use]
    pub fn tree_digest(&self) -> Digest {
        let entries = Self {
            entries: self.entries.clone(),
            skipped: Vec::new(),
        };
        Digest::of(&entries.encode())
    }

    /// Whether an entry lies beneath the path.
    pub(super) fn has_beneath(&self, path: &TreePath) -> bool {
        let first = [path.as_bytes(), b"/"].concat();
        let at = self
            .entries
            .partition_point(|entry| entry.path.as_bytes() < &first[..]);
        let next = self.entries.get(at);
        next.is_some_and(|entry| entry.path.as_bytes().starts_with(&first))
    }

    fn check(&self) -> Result<(), ManifestError> {
        let ordered = self.entries.is_sorted_by(|a, b| a.path < b.path)
            && self.skipped.is_sorted_by(|a, b| a.path < b.path);
        if !ordered {
            return Err(ManifestError::Order);
        }
        let mut bytes = 0;
        // The last directory that was found, which the next entry mostly lies in as well.
        let mut directory: &[u8] = b"";
        for entry in &self.entries {
            bytes += check_entry(entry)?;
            let parent = parent(&entry.path);
            if parent != directory && !self.has_directory(parent) {
                return Err(ManifestError::NoDirectory);
            }
            directory = parent;
        }
        for skipped in &self.skipped {
            bytes += check_path(&skipped.path)?;
        }
        match bytes {
            0..=MAX_BYTES => Ok(()),
            _ => Err(ManifestError::TooLarge),
        }
    }

    fn has_directory(&self, path: &[u8]) -> bool {
        let find = |entry: &Entry| entry.path.as_bytes().cmp(path);
        let found = self.entries.binary_search_by(find);
        path.is_empty() || found.is_ok_and(|at| self.entries[at].node == Node::Directory)
    }
}

impl Store {
    /// Stores a manifest as contents.
    ///
    /// # Errors
    /// When writing fails.
    pub fn save_manifest(&self, manifest: &Manifest) -> Result<Digest, StoreError> {
        self.put_bytes(&manifest.encode())
    }

    /// Reads a manifest, verified.
    ///
    /// # Errors
    /// When it is missing, damaged, too large (256 MiB) or no manifest, or reading fails.
    pub fn load_manifest(&self, digest: &Digest) -> Result<Manifest, StoreError> {
        let bytes = self.read(digest, MAX_BYTES as u64)?;
        Manifest::decode(&bytes).map_err(|source| StoreError::NotAManifest {
            digest: *digest,
            source,
        })
    }
}

/// Checks an entry by itself and returns how many bytes of path and target it has.
fn check_entry(entry: &Entry) -> Result<usize, ManifestError> {
    let bytes = check_path(&entry.path)?;
    let Node::Symlink { target } = &entry.node else {
        return Ok(bytes);
    };
    if target.is_empty() || target.len() > MAX_TARGET_BYTES || target.contains(&0) {
        return Err(ManifestError::Target);
    }
    Ok(bytes + target.len())
}

/// The directory that a path lies in; empty for the top.
fn parent(path: &TreePath) -> &[u8] {
    let bytes = path.as_bytes();
    let slash = bytes.iter().rposition(|byte| *byte == b'/');
    slash.map_or(b"", |at| &bytes[..at])
}

fn check_path(path: &TreePath) -> Result<usize, ManifestError> {
    match path.as_bytes().len() {
        0 => Err(ManifestError::Top),
        bytes => Ok(bytes),
    }
}

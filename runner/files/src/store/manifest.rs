//! What a tree was: every path and what stood there.
//!
//! The encoded form: the magic `MBRNTREE`, the version as one byte, the number of entries, the
//! entries, the number of skipped paths, the skipped paths. An entry and a skipped path begin with
//! their path: how many bytes it shares with the one before, and the rest of it as bytes. Then
//! comes a tag: 0 a directory; 1 a file and 2 an executable file, with digest (32 bytes) and size;
//! 3 a link, with its target as bytes; for a skipped path the tag says why. Numbers are LEB128 in
//! their shortest form; bytes come after their number. So a manifest has one encoding.

use crate::store::blobs::Store;
use crate::store::codec::{Decoder, Malformed, put_bytes, put_number};
use crate::store::digest::Digest;
use crate::store::error::StoreError;
use crate::tree_path::{PathError, TreePath};

const MAGIC: &[u8; 8] = b"MBRNTREE";
const VERSION: u8 = 1;
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

impl From<Malformed> for ManifestError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
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

    /// The encoded form. Equal manifests have equal ones.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        put_number(&mut out, self.entries.len() as u64);
        let mut last: &[u8] = b"";
        for entry in &self.entries {
            put_path(&mut out, &mut last, &entry.path);
            put_node(&mut out, &entry.node);
        }
        put_number(&mut out, self.skipped.len() as u64);
        last = b"";
        for skipped in &self.skipped {
            put_path(&mut out, &mut last, &skipped.path);
            out.push(why_tag(skipped.why));
        }
        out
    }

    /// Takes the encoded form, from whomever.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut decoder = Decoder::new(bytes);
        if decoder.take(MAGIC.len()) != Ok(MAGIC) {
            return Err(ManifestError::Magic);
        }
        match decoder.byte()? {
            VERSION => {}
            version => return Err(ManifestError::Version(version)),
        }
        let mut paths = Paths::default();
        let entries = list(&mut decoder, |decoder| {
            let path = paths.next(decoder)?;
            let node = node(decoder)?;
            Ok(Entry { path, node })
        })?;
        paths.last.clear();
        let skipped = list(&mut decoder, |decoder| {
            let path = paths.next(decoder)?;
            let why = why(decoder.byte()?)?;
            Ok(Skipped { path, why })
        })?;
        if !decoder.is_empty() {
            return Err(ManifestError::Malformed);
        }
        let manifest = Self { entries, skipped };
        manifest.check()?;
        Ok(manifest)
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

fn put_path<'a>(out: &mut Vec<u8>, last: &mut &'a [u8], path: &'a TreePath) {
    let path = path.as_bytes();
    let shared = last.iter().zip(path).take_while(|(a, b)| a == b).count();
    put_number(out, shared as u64);
    put_bytes(out, &path[shared..]);
    *last = path;
}

fn put_node(out: &mut Vec<u8>, node: &Node) {
    match node {
        Node::Directory => out.push(0),
        Node::File {
            digest,
            size,
            executable,
        } => {
            out.push(1 + u8::from(*executable));
            out.extend_from_slice(digest.as_bytes());
            put_number(out, *size);
        }
        Node::Symlink { target } => {
            out.push(3);
            put_bytes(out, target);
        }
    }
}

/// The path before, and how many bytes all paths had until now.
#[derive(Default)]
struct Paths {
    last: Vec<u8>,
    total: usize,
}

impl Paths {
    fn next(&mut self, decoder: &mut Decoder<'_>) -> Result<TreePath, ManifestError> {
        let shared = usize::try_from(decoder.number()?).map_err(|_| Malformed)?;
        let rest = decoder.bytes()?;
        let head = self.last.get(..shared).ok_or(ManifestError::Malformed)?;
        // The shared part must be as long as it can be, or one path would have two forms.
        if rest
            .first()
            .is_some_and(|byte| self.last.get(shared) == Some(byte))
        {
            return Err(ManifestError::Malformed);
        }
        let path = [head, rest].concat();
        self.total += path.len();
        if self.total > MAX_BYTES {
            return Err(ManifestError::TooLarge);
        }
        let checked = TreePath::from_bytes(&path)?;
        self.last = path;
        Ok(checked)
    }
}

/// Items after their number. The number is not believed before they are there.
fn list<T>(
    decoder: &mut Decoder<'_>,
    mut item: impl FnMut(&mut Decoder<'_>) -> Result<T, ManifestError>,
) -> Result<Vec<T>, ManifestError> {
    let count = decoder.number()?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(item(decoder)?);
    }
    Ok(items)
}

fn node(decoder: &mut Decoder<'_>) -> Result<Node, ManifestError> {
    match decoder.byte()? {
        0 => Ok(Node::Directory),
        tag @ (1 | 2) => Ok(Node::File {
            digest: Digest::from_bytes(decoder.array()?),
            size: decoder.number()?,
            executable: tag == 2,
        }),
        3 => {
            let target = decoder.bytes()?.to_vec();
            Ok(Node::Symlink { target })
        }
        _ => Err(ManifestError::Malformed),
    }
}

const WHYS: [Why; 5] = [
    Why::Special,
    Why::Excluded,
    Why::Unreadable,
    Why::TooLarge,
    Why::TooDeep,
];

fn why_tag(why: Why) -> u8 {
    match why {
        Why::Special => 0,
        Why::Excluded => 1,
        Why::Unreadable => 2,
        Why::TooLarge => 3,
        Why::TooDeep => 4,
    }
}

fn why(tag: u8) -> Result<Why, ManifestError> {
    let why = WHYS.get(usize::from(tag)).copied();
    why.ok_or(ManifestError::Malformed)
}

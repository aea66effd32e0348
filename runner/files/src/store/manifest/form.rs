//! Manifests as bytes.
//!
//! The encoded form: the magic `MBRNTREE`, the version as one byte, the number of entries, the
//! entries, the number of skipped paths, the skipped paths. An entry and a skipped path begin with
//! their path: how many bytes it shares with the one before, and the rest of it as bytes. Then
//! comes a tag: 0 a directory; 1 a file and 2 an executable file, with digest (32 bytes) and size;
//! 3 a link, with its target as bytes; for a skipped path the tag says why. Numbers are LEB128 in
//! their shortest form; bytes come after their number. So a manifest has one encoding.

use super::{Entry, MAX_BYTES, Manifest, ManifestError, Node, Skipped, Why};
use crate::store::codec::{Decoder, Malformed, put_bytes, put_number};
use crate::store::digest::Digest;
use crate::tree_path::TreePath;

const MAGIC: &[u8; 8] = b"MBRNTREE";
const VERSION: u8 = 1;

impl From<Malformed> for ManifestError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl Manifest {
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

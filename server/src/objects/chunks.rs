//! Large contents in chunks. Where one ends depends on what is around there and on nothing else, so an
//! edit changes the chunks that it touches, and the others are there already.

use std::{fmt::Write as _, io::Read};

use bytes::Bytes;
use fastcdc::v2020::StreamCDC;
use membrane_files::store::Digest;
use tokio::sync::mpsc::Sender;

use crate::{changes::broken, error::Error};

/// Contents up to so many bytes are one object.
pub const WHOLE: u64 = 1 << 20;
/// Bytes of a chunk. They are part of what is stored: with others, nothing that is there is found again.
const SMALLEST: usize = 256 << 10;
const AVERAGE: usize = 1 << 20;
pub const LARGEST: usize = 4 << 20;
/// Most bytes of a list: contents have at most a gigabyte.
pub const LARGEST_LIST: u64 = 4 << 20;
/// The first line of a list.
const HEAD: &str = "membrane chunks 1";

/// A chunk of contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    pub digest: Digest,
    pub bytes: u64,
}

/// Cuts contents into chunks, and answers the digest of all of them together. Blocks. It ends when
/// nobody takes them any more.
///
/// # Errors
/// The reader's own.
pub fn cut(contents: impl Read, to: &Sender<Bytes>) -> Result<Digest, Error> {
    let mut whole = blake3::Hasher::new();
    for chunk in StreamCDC::new(contents, SMALLEST, AVERAGE, LARGEST) {
        let data = chunk.map_err(broken)?.data;
        whole.update(&data);
        if to.blocking_send(data.into()).is_err() {
            return Err(Error::Cancelled);
        }
    }
    Ok(whole.finalize().into())
}

/// A list as an object: a line for each chunk, its bytes and its digest.
pub fn encode(chunks: &[Chunk]) -> Bytes {
    let mut text = format!("{HEAD}\n");
    for Chunk { digest, bytes } in chunks {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{bytes} {digest}");
    }
    text.into()
}

/// Reads a list; nothing for what is none.
pub fn decode(list: &[u8]) -> Option<Vec<Chunk>> {
    let text = std::str::from_utf8(list).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next() != Some(HEAD) {
        return None;
    }
    let chunk = |line: &str| {
        let (bytes, digest) = line.split_once(' ')?;
        let bytes = bytes
            .parse()
            .ok()
            .filter(|bytes| *bytes <= LARGEST as u64)?;
        let digest = digest.parse().ok()?;
        Some(Chunk { digest, bytes })
    };
    lines.map(chunk).collect()
}

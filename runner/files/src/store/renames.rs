//! Renamed files whose contents changed as well.

use crate::store::blobs::Store;
use crate::store::compare::{Change, ChangeKind, join};
use crate::store::error::StoreError;
use crate::store::manifest::Node;
use crate::text::is_text;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Least similarity of a renamed file, in percent, as in git.
const SIMILAR: u8 = 50;
/// Most files on either side; with more of them none is looked at, so that no choice among them is
/// by accident.
const MAX_CANDIDATES: usize = 64;
/// Largest file that is looked at, in bytes.
const MAX_BYTES: u64 = 128 << 10;

/// Finds renamed files among those that [`crate::store::compare`] calls deleted and added: text of
/// which at least half is the same, line by line, the most similar first. Files of more than
/// 128 KiB are not looked at, and none at all if more than 64 were deleted or added.
///
/// # Errors
/// When the store cannot be read. Contents that are missing or damaged are similar to nothing.
pub fn find_renames(changes: Vec<Change>, store: &Store) -> Result<Vec<Change>, StoreError> {
    let deleted = candidates(&changes, &ChangeKind::Deleted);
    let added = candidates(&changes, &ChangeKind::Added);
    let bounds = 1..=MAX_CANDIDATES;
    if !bounds.contains(&deleted.len()) || !bounds.contains(&added.len()) {
        return Ok(changes);
    }
    let deleted = texts(&changes, &deleted, store)?;
    let added = texts(&changes, &added, store)?;
    let mut pairs = Vec::new();
    for (new, new_text) in &added {
        for (old, old_text) in &deleted {
            let similarity = old_text.similarity(new_text);
            if similarity >= SIMILAR {
                pairs.push((*old, *new, similarity));
            }
        }
    }
    // The sort keeps the order of paths among equally similar ones.
    pairs.sort_by_key(|(_, _, similarity)| std::cmp::Reverse(*similarity));
    let mut taken = HashSet::new();
    pairs.retain(|(old, new, _)| {
        let free = !taken.contains(old) && !taken.contains(new);
        if free {
            taken.extend([*old, *new]);
        }
        free
    });
    Ok(join(changes, pairs))
}

/// Where changes of this kind are that could be renamings.
fn candidates(changes: &[Change], kind: &ChangeKind) -> Vec<usize> {
    let small = |change: &Change| {
        let node = change.before.as_ref().or(change.after.as_ref());
        matches!(
            node,
            Some(Node::File {
                size: 1..=MAX_BYTES,
                ..
            })
        )
    };
    let found = changes.iter().enumerate();
    let found = found.filter(|(_, change)| change.kind == *kind && small(change));
    found.map(|(at, _)| at).collect()
}

fn texts(
    changes: &[Change],
    candidates: &[usize],
    store: &Store,
) -> Result<Vec<(usize, Text)>, StoreError> {
    let mut texts = Vec::new();
    for &at in candidates {
        let node = changes[at].before.as_ref().or(changes[at].after.as_ref());
        let Some(Node::File { digest, .. }) = node else {
            continue;
        };
        match store.read(digest, MAX_BYTES) {
            Ok(bytes) => texts.extend(Text::of(&bytes).map(|text| (at, text))),
            Err(error @ (StoreError::Io { .. } | StoreError::Source(_))) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(texts)
}

/// The lines of a text as hashes, with how many bytes of it they are together.
struct Text {
    lines: HashMap<u64, usize>,
    bytes: usize,
}

impl Text {
    fn of(bytes: &[u8]) -> Option<Self> {
        if !is_text(bytes) {
            return None;
        }
        let mut lines = HashMap::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut hasher = DefaultHasher::new();
            line.hash(&mut hasher);
            *lines.entry(hasher.finish()).or_default() += line.len();
        }
        let bytes = bytes.len();
        Some(Self { lines, bytes })
    }

    /// How many percent of the larger text's bytes are in lines of both.
    fn similarity(&self, other: &Self) -> u8 {
        let both = self.lines.iter().map(|(line, bytes)| {
            let there = other.lines.get(line).copied().unwrap_or(0);
            there.min(*bytes)
        });
        let larger = self.bytes.max(other.bytes).max(1);
        u8::try_from(both.sum::<usize>() * 100 / larger).unwrap_or(100)
    }
}

//! Making the whole tree that a manifest recorded.

use crate::store::blobs::Store;
use crate::store::manifest::{Manifest, Node};
use crate::store::restore::{RestoreError, link_file, restore_file};
use cap_std::fs::Dir;

/// A tree that has much of what is to be made, and what it is.
#[derive(Debug, Clone, Copy)]
pub struct Near<'a> {
    /// The tree, on the same file system.
    pub tree: &'a Dir,
    /// Its manifest.
    pub manifest: &'a Manifest,
}

/// Makes a tree in an empty directory. A file that stands at the same path in `near`, has no other
/// name and the usual mode is linked from there and not copied; both trees then have it in common
/// until one of them is removed, so nobody may write to either meanwhile.
///
/// # Errors
/// See [`restore_file`]; what was made until then is left.
pub fn build_tree(
    store: &Store,
    wanted: &Manifest,
    near: Near<'_>,
    to: &Dir,
) -> Result<(), RestoreError> {
    for entry in wanted.entries() {
        let is_near = matches!(entry.node, Node::File { .. })
            && near.manifest.get(&entry.path) == Some(&entry.node);
        // A file that can't be linked, because it has another name for example, is copied.
        if is_near && link_file(near.tree, to, &entry.path).is_ok() {
            continue;
        }
        restore_file(store, &entry.node, to, &entry.path)?;
    }
    Ok(())
}

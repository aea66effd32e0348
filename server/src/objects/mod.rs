//! An object store that keeps what snapshots need, so that the stores beside workspaces' trees are only
//! caches of it. [`Bucket`] is the store, [`Shelf`] the part of it that is one workspace's. Nothing is
//! shared between workspaces, not even the knowledge that another one has some contents. It knows no
//! database: which manifests are needed it is told.
//!
//! Objects of a workspace are beneath `workspaces/<id>`, each named by a BLAKE3 digest:
//! - `contents/` has contents whole, up to [`chunks::WHOLE`], and the chunks of larger ones;
//! - `lists/` says of which chunks larger contents are made;
//! - `manifests/` has an empty object for each manifest that is there with everything that it names.
//!
//! So an object is written only when all that it leads to is there, and is removed before it.

mod bucket;
mod chunks;
mod collect;
mod fetch;
mod name;
mod place;
mod send;
mod shelf;
#[cfg(test)]
mod tests;

pub use bucket::Bucket;
pub use collect::{Marks, Swept};
pub use place::{Keys, Place};
pub use shelf::{Held, Shelf, Wanted};

//! The content-addressed store of one workspace: what its tree was, and what changed in it.
//!
//! Contents are kept once, under the BLAKE3 digest of their bytes. A [`Manifest`] lists a tree and
//! is kept as contents as well, so one [`Digest`] stands for a whole tree. [`scan`] makes a
//! manifest and reads only files whose metadata changed since the last one; [`compare`] tells two
//! manifests apart; [`restore_file`] puts back what was recorded, [`build_tree`] a whole tree; [`collect`] removes what no
//! manifest needs. A store belongs to one workspace and one tree, so that nothing is shared
//! between workspaces, not even the knowledge that somebody else has a file.
//!
//! A store survives that its process is killed at any moment: contents appear under their name
//! only when they are complete. It does not promise to survive a loss of power, since nothing is
//! synced; [`Store::read`] and [`Store::load_manifest`] find what is damaged.

mod blobs;
mod build;
mod cache;
mod codec;
mod collect;
mod compare;
mod digest;
mod error;
mod manifest;
mod renames;
mod restore;
mod scan;

pub use blobs::{Blob, Store};
pub use build::{Near, build_tree};
pub use cache::StatCache;
pub use collect::{Collected, collect};
pub use compare::{Change, ChangeKind, compare};
pub use digest::{Digest, DigestError};
pub use error::StoreError;
pub use manifest::{Entry, Manifest, ManifestError, Node, Skipped, Why};
pub use renames::find_renames;
pub use restore::{RestoreError, restore_file};
pub use scan::{Scan, ScanError, ScanOptions, ScanSummary, scan};

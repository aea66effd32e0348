//! Workspace trees: zip archives into and out of a directory, and everything that people do with
//! files in one, searching included, always beneath a directory handle.
//!
//! Owns the rules for what a tree may contain (paths, links, kinds, sizes) and the promise that an
//! import happens whole or not at all; and the store of contents that tells what changed in a tree
//! and puts it back. It must not know gRPC, SQL, async, the environment or the clock. Archives are
//! read strictly: every byte of the file must be accounted for by exactly one interpretation, so
//! that no two programs can see two different trees in one archive.

mod archive;
mod directory;
mod error;
mod export;
mod import;
mod limits;
mod link;
mod ordered;
mod path;
pub mod root;
pub mod search;
mod staging;
pub mod store;
mod summary;
mod text;
mod tree;
mod tree_path;
mod walk;

pub use directory::import_directory;
pub use error::{ArchiveError, EntryName, Fault};
pub use export::{export_manifest, export_zip};
pub use import::import_zip;
pub use limits::Limits;
pub use staging::{RESERVED_NAMES, Recovery, recover};
pub use summary::{Dropped, DroppedKind, Summary};
pub use text::is_text;
pub use tree_path::{PathError, TreePath, spelled};

//! Searching a tree by name and by content, through no link. It reads and starts nothing: settings
//! of git that lie in the tree are files like any other.

mod contents;
mod find;
mod line;
mod walk;

pub use contents::{Case, FileMatches, Invalid, Progress, Query, Search, Totals};
pub use find::{Hit, Names};
pub use line::Line;
pub use walk::{Found, Next, Skip, Walk, open, open_file};

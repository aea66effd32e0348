//! What pages of changes are made of, as far as it is pure: their addresses, names and lines that
//! are safe to show, lines in pairs, and the words for it all. It knows no browser and no transport.

mod address;
mod pairs;
mod rows;
mod words;

pub use address::{Address, Around, Layout, Scope, list_address, page_in};
pub use pairs::{Pair, pairs};
pub use rows::rows;
pub use words::{
    discard_question, has_context, makers, media_type, shortened, sizes, split_path, status,
};

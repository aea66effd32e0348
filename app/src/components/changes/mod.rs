//! The parts that pages of changes are made of.

pub mod discard;
pub mod empty;
pub mod file_head;
pub mod file_list;
pub mod file_pane;
pub mod hunk;
pub mod keys;
pub mod name;
pub mod outcome;
pub mod pictures;
pub mod review;
pub mod scope_head;
pub mod set_row;

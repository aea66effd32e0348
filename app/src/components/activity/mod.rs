//! The parts of the page that lists what happened at a workspace's boundary.

pub mod empty;
pub mod filters;
pub mod row;

//! Workspace trees.

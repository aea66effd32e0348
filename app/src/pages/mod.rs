//! One file for what an address shows.

pub mod account;
pub mod activity;
pub mod change_sets;
pub mod changes;
pub mod edit;
pub mod files;
pub mod home;
pub mod missing;
pub mod new_workspace;
pub mod runs;
pub mod search;
pub mod secrets;
pub mod session;
pub mod settings;
pub mod sign_in;
pub mod snapshots;
pub mod trash;
pub mod workspaces;

//! The server as its clients meet it: one process, one port, real storage.

// The console's views are one deeply nested type, whose layout is computed here.
#![recursion_limit = "512"]

mod attaching;
mod broker;
mod browser_safety;
mod changing;
mod creating;
mod downloads;
mod egress;
mod errors;
mod files;
mod fixture;
#[path = "../../../runner/files/tests/files/hostile/mod.rs"]
mod hostile_archives;
mod matrix;
mod mcp;
mod providers;
#[path = "../../../runner/files/tests/files/raw.rs"]
mod raw;
mod runs;
mod schedules;
mod searching;
mod secrets;
mod shared;
mod snapshots;
mod starting;
mod storage;
mod storing;
mod toolchains;
mod turns;
mod watching;
mod wire;

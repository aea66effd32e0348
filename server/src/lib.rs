//! The control plane: gRPC services, live sessions, the event log, and the web console on one port.

// The console's views are one deeply nested type, whose layout is computed here.
#![recursion_limit = "512"]

pub mod alone;
pub mod authz;
pub mod broker;
pub mod changes;
pub mod clock;
pub mod commands;
pub mod config;
pub mod credentials;
pub mod db;
pub mod dispatch;
mod embedded_runner;
pub mod error;
pub mod events;
pub mod files;
pub mod grpc;
pub mod id;
pub mod logging;
pub mod mcp;
pub mod objects;
pub mod page;
pub mod peers;
pub mod previews;
pub mod providers;
pub mod redaction;
pub mod runs;
pub mod schedules;
pub mod searches;
pub mod secrets;
pub mod server;
pub mod sessions;
pub mod settings;
pub mod signals;
pub mod snapshots;
pub mod tasks;
pub mod time;
pub mod uploads;
pub mod vault;
pub mod web;
pub mod workspaces;

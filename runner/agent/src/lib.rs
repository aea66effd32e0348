//! The engines, the tools and the sandbox: everything an agent is, as a library that any host can
//! call. It knows no gRPC, no database and no user interface; of the wire it uses only the messages
//! of events, of what a workspace sets and of trees, so that there is one schema of each.

pub mod command_line;
pub mod cost;
pub mod egress;
pub mod engine;
pub mod entries;
pub mod history;
pub mod host;
pub mod images;
pub mod mcp;
pub mod meter;
pub mod model;
pub mod permission;
pub mod redact;
pub mod sandbox;
pub mod tools;
pub mod turn;

pub use engine::run_turn;
pub use host::{Host, HostGone, HostRequest, PermissionAnswer, PermissionAsk};
pub use turn::{PermissionMode, SystemPrompt, TurnReport, TurnSpec};

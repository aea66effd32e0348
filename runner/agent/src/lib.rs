//! The engines, the tools and the sandbox: everything an agent is, as a library that any host can
//! call. It knows no gRPC, no database, no HTTP server and no user interface; of the wire it uses
//! only the event messages, so that there is one event schema.

pub mod cost;
pub mod egress;
pub mod engine;
pub mod history;
pub mod host;
pub mod images;
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

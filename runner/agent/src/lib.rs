//! The engines, the tools and the sandbox: everything an agent is, as a library that any host can
//! call. It knows no gRPC, no database, no HTTP server and no user interface; of the wire it uses
//! only the event messages, so that there is one event schema.

pub mod host;
pub mod sandbox;
pub mod tools;
pub mod turn;

pub use host::{Host, HostGone, HostRequest, PermissionAnswer, PermissionAsk};
pub use turn::{PermissionMode, SystemPrompt, TurnReport, TurnSpec};

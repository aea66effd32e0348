//! The console: pages rendered on the server and taken over in the browser. It knows the wire
//! (`membrane-proto`) and nothing else of Membrane; how a call travels is known to [`api`] alone.

pub mod api;
mod app;
pub mod format;
pub mod markdown;
pub mod tool_input;
pub mod transcript;

pub use app::App;
#[cfg(feature = "ssr")]
pub use app::shell;

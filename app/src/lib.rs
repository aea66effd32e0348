//! The console: pages rendered on the server and taken over in the browser. It knows the wire
//! (`membrane-proto`) and nothing else of Membrane; how a call travels is known to [`api`] alone.

pub mod api;
mod app;
mod browser;
#[cfg(feature = "ssr")]
mod bundle;
pub mod changes;
pub mod components;
mod context;
pub mod diff;
pub mod edit;
mod editor;
pub mod egress;
pub mod files;
mod find;
pub mod format;
mod links;
mod live;
#[cfg(feature = "markdown")]
pub mod markdown;
pub mod mention;
pub mod pages;
pub mod palette;
pub mod parts;
pub mod path;
pub mod query;
mod renderer;
pub mod search;
mod stream;
pub mod text;
mod title;
pub mod tool_input;
pub mod transcript;
mod unsaved;
mod upload;
mod words;

pub use app::App;
#[cfg(feature = "ssr")]
pub use app::shell;
#[cfg(feature = "ssr")]
pub use bundle::Bundle;
pub use editor::EditorModule;
#[cfg(not(feature = "markdown"))]
pub use renderer::Renderer;
pub use unsaved::Unsaved;

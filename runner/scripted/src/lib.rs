//! The scripted model: a small server that speaks the Messages API and plays scenarios, so that
//! engines, clients and people can use the product without a model. It knows nothing of Membrane:
//! no protocol of ours, no storage, no sandbox.
//!
//! A request is authenticated and validated as the real API would ([`Options`] says how), then
//! answered by the first [`Step`] of the [`Scenario`] that applies, or by one of the built-in
//! scenarios: [`Scenario::demo`] for people, [`Scenario::puppet`] for tests that say in the prompt
//! what the model shall do.

mod compose;
mod control;
mod conversation;
mod demo;
mod directive;
mod error;
mod pattern;
mod play;
mod puppet;
mod record;
mod respond;
mod routes;
mod scenario;
mod server;
mod template;
mod usage;
mod validate;
mod wire;

pub use error::LoadError;
pub use pattern::Pattern;
pub use record::{Key, Recorded};
pub use scenario::{
    Block, ErrorReply, Fault, Otherwise, Pace, Scenario, Step, StopReason, TokenUsage, When,
};
pub use server::{Handle, Options, Server};

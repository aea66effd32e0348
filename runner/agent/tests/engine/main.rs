//! The native engine against the scripted model over real HTTP, with real tools. Only the model is
//! played; back-off is waited for on a clock that is moved on by hand.

mod answers;
mod errors;
mod hostile;
mod interrupts;
mod limits;
mod mcp;
mod permissions;
mod played;
mod providers;
mod restarts;
mod stage;
mod tools;

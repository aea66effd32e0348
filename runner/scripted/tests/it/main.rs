//! The scripted model over HTTP, as clients meet it.

mod api;
mod client;
mod faults;
mod scenarios;

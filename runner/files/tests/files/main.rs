//! Trees in and out: what is refused, what is accepted, and that others see the same.

mod accepted;
mod hostile;
mod limits;
mod mutation;
mod peers;
mod race;
mod raw;
mod refused;
mod root;
mod round_trip;
mod rules;
mod searching;
mod staging;
mod store;
mod support;

//! Trees in and out: what is refused, what is accepted, and that others see the same.

mod accepted;
mod raw;
mod support;

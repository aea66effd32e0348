//! A runner: it dials the server, claims runs, works on each as an agent in a sandbox, and tells what
//! happens. It needs no inbound port and no database, and knows the server only by its Run service.
//!
//! `pool` claims as much as there is room for, all the time or when `invoke` says so; `job` is one
//! claimed run from its lease to its end, `control` is the wire, `place` is the directory where runs
//! are at work, and `cache` what is kept between them.

pub mod cache;
pub mod clock;
pub mod config;
pub mod control;
pub mod invoke;
pub mod job;
pub mod place;
pub mod pool;

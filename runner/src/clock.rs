//! The only place that reads the wall clock.

use std::time::SystemTime;

/// The time.
#[must_use]
pub fn now() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    SystemTime::now()
}

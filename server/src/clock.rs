//! The only place that reads the wall clock, so that tests can hold it still.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// A source of the current time. Cheap to clone; clones of a manual clock move together.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    manual: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `start` until it is advanced.
    #[must_use]
    pub fn manual(start: Millis) -> Self {
        Self {
            manual: Some(Arc::new(AtomicI64::new(start))),
        }
    }

    /// Moves a manual clock; does nothing to the system's.
    pub fn advance(&self, by: Millis) {
        if let Some(manual) = &self.manual {
            manual.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Millis {
        if let Some(manual) = &self.manual {
            return manual.load(Ordering::SeqCst);
        }
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = SystemTime::now();
        now.duration_since(UNIX_EPOCH).map_or(0, |elapsed| {
            i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
        })
    }
}

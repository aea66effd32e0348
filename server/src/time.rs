//! Times and durations on the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use membrane_proto::v1 as proto;
use prost_types::{Duration, Timestamp};

use crate::clock::Millis;

/// A point in time as the wire says it.
#[must_use]
pub fn timestamp(millis: Millis) -> Timestamp {
    Timestamp {
        seconds: millis.div_euclid(1_000),
        nanos: i32::try_from(millis.rem_euclid(1_000)).unwrap_or(0) * 1_000_000,
    }
}

/// A point in time as file systems say it; never before 1970.
#[must_use]
pub fn system_time(millis: Millis) -> SystemTime {
    UNIX_EPOCH + std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// A length of time as the wire says it.
#[must_use]
pub fn duration(millis: Millis) -> Duration {
    Duration {
        seconds: millis / 1_000,
        nanos: i32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000,
    }
}

/// A heartbeat at this time.
#[must_use]
pub fn heartbeat(millis: Millis) -> proto::Heartbeat {
    proto::Heartbeat {
        time: Some(timestamp(millis)),
    }
}

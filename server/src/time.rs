//! Times and durations on the wire.

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

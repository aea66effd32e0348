//! What a schedule is told: checked, and stored as words and JSON.

use membrane_entity::schedule;
use membrane_proto::v1::{self as proto, MissedPolicy, OverlapPolicy};

use super::Rule;
use crate::{
    clock::Millis,
    error::Error,
    runs::{IF_UNCHANGED, MANUAL, Spec},
};

const MISSED_LIMIT: i32 = 10;
const MAX_MISSED: i32 = 100;
const MAX_FAILURES: i32 = 100;
/// A slot that is less late than this was not missed.
const LATE: Millis = 60_000;

const MISSED: [(MissedPolicy, &str); 3] = [
    (MissedPolicy::Skip, "skip"),
    (MissedPolicy::One, "one"),
    (MissedPolicy::All, "all"),
];
const OVERLAP: [(OverlapPolicy, &str); 3] = [
    (OverlapPolicy::Skip, "skip"),
    (OverlapPolicy::Queue, "queue"),
    (OverlapPolicy::CancelPrevious, "cancel_previous"),
];

/// The policies of a stored schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policies {
    /// What becomes of missed slots.
    pub missed: MissedPolicy,
    /// With ALL, how many.
    pub missed_limit: i32,
    /// What a slot does while a run is not over.
    pub overlap: OverlapPolicy,
    /// Failures in a row that disable it; 0 for never.
    pub max_failures: i32,
}

impl Policies {
    /// Of a request.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn decode(given: &proto::Schedule) -> Result<Self, Error> {
        let missed_limit = match given.missed_limit {
            0 => MISSED_LIMIT,
            given @ 1..=MAX_MISSED => given,
            _ => {
                let message = format!("must be 0 to {MAX_MISSED}");
                return Err(Error::invalid("schedule.missed_limit", message));
            }
        };
        if !(0..=MAX_FAILURES).contains(&given.max_failures) {
            let message = format!("must be 0 to {MAX_FAILURES}");
            return Err(Error::invalid("schedule.max_failures", message));
        }
        Ok(Self {
            missed: match given.missed_policy() {
                MissedPolicy::Unspecified => MissedPolicy::One,
                given => given,
            },
            missed_limit,
            overlap: match given.overlap_policy() {
                OverlapPolicy::Unspecified => OverlapPolicy::Skip,
                given => given,
            },
            max_failures: given.max_failures,
        })
    }

    /// Of a row.
    #[must_use]
    pub fn of(row: &schedule::Model) -> Self {
        let missed = MISSED.iter().find(|(_, word)| *word == row.missed_policy);
        let overlap = OVERLAP.iter().find(|(_, word)| *word == row.overlap_policy);
        Self {
            missed: missed.map_or(MissedPolicy::Skip, |(policy, _)| *policy),
            missed_limit: row.missed_limit,
            overlap: overlap.map_or(OverlapPolicy::Skip, |(policy, _)| *policy),
            max_failures: row.max_failures,
        }
    }

    /// Into a row.
    pub fn store(self, row: &mut schedule::Model) {
        let missed = MISSED.iter().find(|(policy, _)| *policy == self.missed);
        let overlap = OVERLAP.iter().find(|(policy, _)| *policy == self.overlap);
        row.missed_policy = missed.map_or("", |(_, word)| word).to_owned();
        row.overlap_policy = overlap.map_or("", |(_, word)| word).to_owned();
        row.missed_limit = self.missed_limit;
        row.max_failures = self.max_failures;
    }

    /// Which slots make runs, of those from `next` until now. One that is nearly on time always is
    /// among them.
    #[must_use]
    pub fn slots(self, rule: &Rule, next: Millis, now: Millis) -> Vec<Millis> {
        match self.missed {
            MissedPolicy::One => rule.latest(next, now, 1),
            MissedPolicy::All => {
                let count = usize::try_from(self.missed_limit).unwrap_or(1);
                rule.latest(next, now, count)
            }
            MissedPolicy::Skip | MissedPolicy::Unspecified => {
                rule.latest(next.max(now - LATE), now, 1)
            }
        }
    }
}

/// What a schedule's runs do, as a request says it.
///
/// # Errors
/// [`Error::Invalid`].
pub fn spec_of(given: &proto::Schedule) -> Result<(Spec, &'static str), Error> {
    let spec = given
        .spec
        .as_ref()
        .ok_or_else(|| Error::invalid("schedule.spec", "is required"))?;
    if !spec.base_snapshot_id.is_empty() {
        return Err(Error::invalid(
            "schedule.spec.base_snapshot_id",
            "must be empty: a schedule's runs begin with the files as they are then",
        ));
    }
    let apply_mode = match spec.apply_mode() {
        proto::ApplyMode::Manual => MANUAL,
        _ => IF_UNCHANGED,
    };
    Ok((Spec::decode(spec)?, apply_mode))
}

/// The same from a row.
///
/// # Errors
/// [`Error::Internal`] if it can't be read.
pub fn stored_spec(row: &schedule::Model) -> Result<Spec, Error> {
    serde_json::from_str(&row.spec)
        .map_err(|error| Error::Internal(format!("a schedule can't be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;
    /// A whole hour.
    const NOON: Millis = 500_000 * HOUR;

    fn slots(missed: MissedPolicy, next: Millis, now: Millis) -> Vec<Millis> {
        let rule = Rule::parse("0 * * * *", "UTC").expect("a rule");
        let policies = Policies {
            missed,
            missed_limit: 3,
            overlap: OverlapPolicy::Skip,
            max_failures: 0,
        };
        policies.slots(&rule, next, now)
    }

    #[test]
    fn a_slot_on_time_fires_whatever_the_policy() {
        for missed in [MissedPolicy::Skip, MissedPolicy::One, MissedPolicy::All] {
            assert_eq!(slots(missed, NOON, NOON), [NOON]);
            assert_eq!(slots(missed, NOON, NOON + 20_000), [NOON]);
            assert!(slots(missed, NOON, NOON - 1).is_empty());
        }
    }

    #[test]
    fn six_hours_down_are_made_up_for_as_the_policy_says() {
        let now = NOON + 6 * HOUR + HOUR / 2;
        assert!(slots(MissedPolicy::Skip, NOON, now).is_empty());
        assert_eq!(slots(MissedPolicy::One, NOON, now), [NOON + 6 * HOUR]);
        let all = [4, 5, 6].map(|hour| NOON + hour * HOUR);
        assert_eq!(slots(MissedPolicy::All, NOON, now), all);
    }
}

//! How long to wait before a failed request is tried again. Pure: the waiting is the engine's.

use std::time::Duration;

use reqwest::header::HeaderMap;
use uuid::Uuid;

/// How failed requests are tried again.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// At most so many attempts of one request, the first included.
    pub max_attempts: u32,
    /// Upper bound of the first delay; it doubles with every attempt.
    pub base_delay: Duration,
    /// No delay is longer.
    pub max_delay: Duration,
    /// A provider's own `retry-after` is honoured up to this.
    pub retry_after_max: Duration,
    /// Where the jitter comes from. Clients with different seeds do not retry in step.
    pub seed: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 6,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(60),
            seed: Uuid::new_v4().as_u64_pair().0,
        }
    }
}

impl RetryPolicy {
    /// How long to wait after this attempt failed, counted from 1: what the provider asked for, or
    /// between half and the whole of a bound that doubles.
    #[must_use]
    pub fn delay(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        if let Some(asked) = retry_after {
            return asked.min(self.retry_after_max);
        }
        let doublings = attempt.saturating_sub(1).min(20);
        let bound = self
            .base_delay
            .saturating_mul(1 << doublings)
            .min(self.max_delay);
        let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        let half = millis / 2;
        Duration::from_millis(half + mix(self.seed, attempt) % (millis - half + 1))
    }
}

/// `SplitMix64`: well spread numbers from a seed and a counter.
fn mix(seed: u64, counter: u32) -> u64 {
    let mut value =
        seed.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(counter) + 1));
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// What a provider asks for in `retry-after-ms` or `retry-after`. The form with a date is not
/// understood: it needs both clocks to agree.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number =
        |name: &str| -> Option<f64> { headers.get(name)?.to_str().ok()?.trim().parse().ok() };
    let seconds = number("retry-after-ms")
        .map(|millis| millis / 1_000.0)
        .or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(seed: u64) -> RetryPolicy {
        RetryPolicy {
            seed,
            ..RetryPolicy::default()
        }
    }

    #[test]
    fn delays_double_up_to_a_bound_and_jitter_within_a_half() {
        for seed in 0..100 {
            for (attempt, bound) in [
                (1, 1_000),
                (2, 2_000),
                (3, 4_000),
                (6, 30_000),
                (60, 30_000),
            ] {
                let delay = policy(seed).delay(attempt, None).as_millis();
                assert!((bound / 2..=bound).contains(&delay), "{attempt}: {delay}");
            }
        }
    }

    #[test]
    fn two_clients_do_not_wait_equally_long() {
        assert_ne!(policy(1).delay(3, None), policy(2).delay(3, None));
    }

    #[test]
    fn a_provider_is_obeyed_for_at_most_a_minute() {
        let asked = |seconds| policy(1).delay(1, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(7), Duration::from_secs(7));
        assert_eq!(asked(3_600), Duration::from_secs(60));
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_in_milliseconds() {
        let of = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().expect("a header value"));
            }
            retry_after(&headers)
        };
        assert_eq!(of(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(
            of(&[("retry-after", "0.5")]),
            Some(Duration::from_millis(500))
        );
        let both = [("retry-after-ms", "250"), ("retry-after", "9")];
        assert_eq!(of(&both), Some(Duration::from_millis(250)));
        assert_eq!(of(&[("retry-after", "-1")]), None);
        assert_eq!(of(&[("retry-after", "NaN")]), None);
        assert_eq!(
            of(&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")]),
            None
        );
        assert_eq!(of(&[]), None);
    }
}

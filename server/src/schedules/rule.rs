//! A cron rule in a time zone: whether it is one, when it fires, and what it says. Pure.

use std::str::FromStr as _;

use chrono::{DateTime, FixedOffset, Offset as _, TimeZone as _};
use chrono_tz::Tz;
use croner::{
    Cron, Direction,
    parser::{CronParser, Seconds, Year},
};

use crate::{clock::Millis, error::Error};

const MAX_CRON: usize = 200;
/// A rule that does not fire within so many years never does.
const YEARS: i64 = 10;
const YEAR: Millis = 366 * 24 * 3_600_000;

/// When a schedule fires.
#[derive(Debug, Clone)]
pub struct Rule {
    cron: Cron,
    zone: Tz,
}

/// A time at which a rule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FireTime {
    /// The time.
    pub time: Millis,
    /// The same in the rule's zone, in words.
    pub local: String,
    /// Whether the zone's offset is another one than at the time before.
    pub offset_changed: bool,
}

impl Rule {
    /// A rule of five fields or a nickname, in a zone of the IANA's list.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `schedule.cron` or `schedule.time_zone`.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, Error> {
        let wrong = |text: String| Error::invalid("schedule.cron", text);
        if cron.len() > MAX_CRON {
            return Err(wrong(format!("must have at most {MAX_CRON} characters")));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(cron)
            .map_err(|error| wrong(format!("is no rule of five fields: {error}")))?;
        let zone = Tz::from_str(zone).map_err(|_| {
            let text = "must be the IANA name of a zone, such as Europe/Zurich or UTC";
            Error::invalid("schedule.time_zone", text)
        })?;
        Ok(Self { cron, zone })
    }

    /// The first time after this one; none within some years is none.
    #[must_use]
    pub fn next(&self, after: Millis) -> Option<Millis> {
        let after_local = self.local(after)?;
        let found = self.cron.find_next_occurrence(&after_local, false).ok()?;
        Some(found.timestamp_millis()).filter(|next| next - after < YEARS * YEAR)
    }

    /// The latest times from `from` until `until`, both included, at most so many, in their order.
    #[must_use]
    pub fn latest(&self, from: Millis, until: Millis, count: usize) -> Vec<Millis> {
        let Some(until) = self.local(until) else {
            return Vec::new();
        };
        let backwards = self.cron.iter_from(until, Direction::Backward);
        let mut found: Vec<Millis> = backwards
            .map(|time| time.timestamp_millis())
            .take_while(|time| *time >= from)
            .take(count)
            .collect();
        found.reverse();
        found
    }

    /// The next times after this one, at most so many.
    #[must_use]
    pub fn upcoming(&self, after: Millis, count: usize) -> Vec<FireTime> {
        let mut before = self.local(after).map(|time| time.offset().fix());
        let mut at = after;
        let mut times = Vec::new();
        while times.len() < count
            && let Some(next) = self.next(at)
            && let Some(local) = self.local(next)
        {
            let offset: FixedOffset = local.offset().fix();
            times.push(FireTime {
                time: next,
                local: local.format("%a %Y-%m-%d %H:%M %:z").to_string(),
                offset_changed: before.replace(offset) != Some(offset),
            });
            at = next;
        }
        times
    }

    /// The rule in words, without a full stop.
    #[must_use]
    pub fn describe(&self) -> String {
        self.cron.describe().trim_end_matches('.').to_owned()
    }

    fn local(&self, time: Millis) -> Option<DateTime<Tz>> {
        self.zone.timestamp_millis_opt(time).single()
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;
    use proptest::prelude::*;

    use super::*;

    fn rule(cron: &str, zone: &str) -> Rule {
        Rule::parse(cron, zone).expect("a rule")
    }

    fn utc(text: &str) -> Millis {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a time");
        time.and_utc().timestamp_millis()
    }

    fn locals(cron: &str, after: &str, count: usize) -> Vec<String> {
        let times = rule(cron, "Europe/Zurich").upcoming(utc(after), count);
        let said = |time: &FireTime| {
            format!(
                "{}{}",
                time.local,
                if time.offset_changed { " !" } else { "" }
            )
        };
        times.iter().map(said).collect()
    }

    #[test]
    fn a_time_that_does_not_exist_fires_once_right_after_the_gap() {
        assert_eq!(
            locals("30 2 * * *", "2026-03-27 12:00", 3),
            [
                "Sat 2026-03-28 02:30 +01:00",
                "Sun 2026-03-29 03:00 +02:00 !",
                "Mon 2026-03-30 02:30 +02:00",
            ]
        );
    }

    #[test]
    fn a_time_that_is_there_twice_fires_once() {
        assert_eq!(
            locals("30 2 * * *", "2026-10-24 12:00", 2),
            [
                "Sun 2026-10-25 02:30 +02:00",
                "Mon 2026-10-26 02:30 +01:00 !"
            ]
        );
    }

    #[test]
    fn what_fires_every_half_hour_does_so_through_both_steps() {
        for (after, hours) in [("2026-03-28 23:00", 3), ("2026-10-24 22:00", 3)] {
            let rule = rule("*/30 * * * *", "Europe/Zurich");
            let times = rule.upcoming(utc(after), hours * 2);
            let apart: Vec<_> = times
                .windows(2)
                .map(|pair| (pair[1].time - pair[0].time) / 60_000)
                .collect();
            assert!(apart.iter().all(|minutes| *minutes == 30), "{times:?}");
        }
    }

    #[test]
    fn what_is_no_rule_or_never_fires_is_told_apart() {
        for cron in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "x",
            "* * * * MON#9",
            "@never",
        ] {
            assert!(Rule::parse(cron, "UTC").is_err(), "{cron}");
        }
        assert!(Rule::parse("* * * * *", "Europe/Nowhere").is_err());
        for cron in ["0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
            let rule = rule(cron, "UTC");
            assert_eq!(rule.next(utc("2026-01-01 00:00")), None, "{cron}");
        }
        let leap = rule("0 0 29 2 *", "UTC");
        assert_eq!(
            leap.next(utc("2026-01-01 00:00")),
            Some(utc("2028-02-29 00:00"))
        );
    }

    #[test]
    fn a_rule_is_said_in_words() {
        let words = rule("30 2 * * 1-5", "UTC").describe();
        assert!(
            words.contains("02:30") && words.contains("Monday"),
            "{words}"
        );
    }

    proptest! {
        /// Whether one looks ahead or back, the slots are the same, also through both steps.
        #[test]
        fn forwards_and_backwards_are_the_same(
            cron in prop::sample::select(vec![
                "* * * * *", "*/7 * * * *", "30 2 * * *", "0 * * * *", "15 1,2,3 * * *",
                "0 2 * * SUN", "30 */2 * * *", "59 23 * * *", "0 0 1 * *",
            ]),
            zone in prop::sample::select(vec![
                "UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "America/Havana",
            ]),
            day in 0_i64..730,
            hours in 1_i64..80,
        ) {
            let rule = rule(cron, zone);
            let from = utc("2026-01-01 00:00") + day * 24 * 3_600_000;
            let until = from + hours * 3_600_000;
            let mut forwards = Vec::new();
            let mut at = from - 1;
            while let Some(next) = rule.next(at).filter(|next| *next <= until) {
                prop_assert!(next > at);
                forwards.push(next);
                at = next;
            }
            prop_assert_eq!(rule.latest(from, until, usize::MAX), forwards);
        }

        /// I4: nothing that somebody may send makes the parser panic or take for ever.
        #[test]
        fn no_text_is_too_strange(text in ".{0,60}", fields in "[0-9*/,LW#?MONFRI -]{1,40}") {
            for cron in [text, fields] {
                if let Ok(rule) = Rule::parse(&cron, "Europe/Zurich") {
                    let _ = rule.upcoming(utc("2026-03-28 00:00"), 2);
                    let _ = rule.describe();
                }
            }
        }
    }
}

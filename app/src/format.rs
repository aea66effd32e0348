//! Numbers and times as text. Pure and free of locales, so that the server and the browser write
//! the same.

use membrane_proto::v1::Usage;
use prost_types::{Duration, Timestamp};

use crate::transcript::Cost;

/// A time's parts in UTC.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

/// Days since 1970 to a date in the Gregorian calendar, by counting in eras of 400 years.
fn civil(seconds: i64) -> Civil {
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
        hour: rest / 3_600,
        minute: rest / 60 % 60,
        second: rest % 60,
    }
}

/// For machines: `2026-11-23T16:30:05Z`.
pub fn iso(time: &Timestamp) -> String {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = civil(time.seconds);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// For people where nothing else is known: `2026-11-23 16:30 UTC`.
pub fn utc(time: &Timestamp) -> String {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        ..
    } = civil(time.seconds);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// How long ago, seen from `now` in seconds since 1970; a date when it is more than a month.
pub fn ago(time: &Timestamp, now: i64) -> String {
    let seconds = now - time.seconds;
    match seconds {
        ..-59 => ahead(time, -seconds),
        -59..45 => "just now".to_owned(),
        45..3_570 => format!("{} min ago", (seconds + 30) / 60),
        3_570..84_600 => format!("{} h ago", (seconds + 1_800) / 3_600),
        84_600..2_592_000 => format!("{} d ago", (seconds + 43_200) / 86_400),
        _ => {
            let Civil {
                year, month, day, ..
            } = civil(time.seconds);
            format!("{year:04}-{month:02}-{day:02}")
        }
    }
}

fn ahead(time: &Timestamp, seconds: i64) -> String {
    match seconds {
        ..3_600 => format!("in {} min", seconds / 60),
        3_600..86_400 => format!("in {} h", seconds / 3_600),
        86_400..2_592_000 => format!("in {} d", seconds / 86_400),
        _ => {
            let Civil {
                year, month, day, ..
            } = civil(time.seconds);
            format!("{year:04}-{month:02}-{day:02}")
        }
    }
}

/// `340 ms`, `4.2 s`, `3 min 5 s`, `2 h 4 min`.
pub fn duration(duration: &Duration) -> String {
    let millis = duration.seconds * 1_000 + i64::from(duration.nanos) / 1_000_000;
    let seconds = (millis + 500) / 1_000;
    match millis {
        ..1_000 => format!("{} ms", millis.max(0)),
        1_000..10_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        10_000..60_000 => format!("{seconds} s"),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// `$1.24`, `$0.0031`; a sum with unknown parts says so.
pub fn cost(cost: Cost) -> String {
    let known = dollars(cost.micro_usd);
    match (cost.incomplete, cost.micro_usd) {
        (true, 0) => "cost unknown".to_owned(),
        (true, _) => format!("{known} + unknown"),
        (false, _) => known,
    }
}

/// The cost of some usage.
pub fn usage_cost(usage: &Usage) -> String {
    cost(Cost::of(usage))
}

/// `$1.24`, `$0.0031`.
pub fn dollars(micro_usd: i64) -> String {
    match micro_usd {
        0 => "$0.00".to_owned(),
        1..50 => "< $0.0001".to_owned(),
        50..100_000 => {
            let tenths_of_mills = (micro_usd + 50) / 100;
            format!(
                "${}.{:04}",
                tenths_of_mills / 10_000,
                tenths_of_mills % 10_000
            )
        }
        _ => {
            let cents = (micro_usd + 5_000) / 10_000;
            format!("${}.{:02}", cents / 100, cents % 100)
        }
    }
}

/// All tokens of some usage: `850`, `12.4k`, `1.2M`.
pub fn tokens(usage: &Usage) -> String {
    let input =
        usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens;
    short_count(input + usage.output_tokens)
}

/// A count in at most five letters.
pub fn short_count(count: i64) -> String {
    match count {
        ..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}.{}k", count / 1_000, count % 1_000 / 100),
        _ => format!("{}.{}M", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

/// `640 B`, `12.4 kB`, `3.2 MB`.
pub fn bytes(count: i64) -> String {
    match count {
        ..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{}.{} kB", count / 1_000, count % 1_000 / 100),
        _ => format!("{}.{} MB", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

/// A count with its noun: `1 file`, `3 files`.
pub fn count(number: i64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A path as people think of it: inside the workspace, without the place where it is mounted.
pub fn path(path: &str) -> &str {
    match path.strip_prefix("/workspace/") {
        Some(inside) if !inside.is_empty() => inside,
        _ => path,
    }
}

/// Adds text to HTML, for an element or a quoted attribute.
pub fn escape(text: &str, html: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanos: 0 }
    }

    #[test]
    fn dates_follow_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_451_405, "2026-11-23T16:30:05Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(iso(&at(seconds)), expected);
        }
        assert_eq!(utc(&at(1_795_451_405)), "2026-11-23 16:30 UTC");
    }

    #[test]
    fn distance_in_time_is_rounded() {
        for (seconds, expected) in [
            (-30, "just now"),
            (44, "just now"),
            (60, "1 min ago"),
            (3_569, "59 min ago"),
            (3_600, "1 h ago"),
            (86_400, "1 d ago"),
            (40 * 86_400, "1969-11-22"),
            (-7_200, "in 2 h"),
        ] {
            assert_eq!(ago(&at(-seconds), 0), expected);
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let of = |millis: i64| {
            duration(&Duration {
                seconds: millis / 1_000,
                nanos: (millis % 1_000 * 1_000_000) as i32,
            })
        };
        assert_eq!(of(340), "340 ms");
        assert_eq!(of(4_250), "4.2 s");
        assert_eq!(of(42_600), "43 s");
        assert_eq!(of(185_000), "3 min 5 s");
        assert_eq!(of(7_440_000), "2 h 4 min");
    }

    #[test]
    fn an_unknown_cost_is_not_nothing() {
        let sum = |micro_usd, incomplete| {
            cost(Cost {
                micro_usd,
                requests: 1,
                tokens: 1,
                incomplete,
            })
        };
        assert_eq!(sum(0, false), "$0.00");
        assert_eq!(sum(3_140, false), "$0.0031");
        assert_eq!(sum(1_240_000, false), "$1.24");
        assert_eq!(sum(20, false), "< $0.0001");
        assert_eq!(sum(0, true), "cost unknown");
        assert_eq!(sum(1_240_000, true), "$1.24 + unknown");
    }

    #[test]
    fn counts_are_short() {
        assert_eq!(short_count(999), "999");
        assert_eq!(short_count(12_450), "12.4k");
        assert_eq!(short_count(1_250_000), "1.2M");
        assert_eq!(count(1, "file", "files"), "1 file");
        assert_eq!(path("/workspace/src/a.rs"), "src/a.rs");
        assert_eq!(path("/etc/hosts"), "/etc/hosts");
    }
}

//! One line of a file as it is shown: cut around its first match, and as valid text.

use grep_matcher::Matcher;
use grep_regex::RegexMatcher;
use std::ops::Range;

/// A line is cut after so many characters.
const CHARS_MAX: usize = 500;
/// So many of them stand before the first match, if there are as many.
const CHARS_BEFORE: usize = 100;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its text without the line's end, at most 500 characters around the first match; what is not
    /// UTF-8 is replaced.
    pub text: String,
    /// Where the matches are in `text`, in bytes; none in a line that only surrounds one, or where
    /// nothing but a place matched.
    pub ranges: Vec<Range<usize>>,
    /// Whether there is a match.
    pub matched: bool,
    /// Whether something before `text` was cut off.
    pub cut_start: bool,
    /// Whether something after `text` was cut off.
    pub cut_end: bool,
}

impl Line {
    /// A line that only surrounds a match.
    pub(super) fn around(number: u64, bytes: &[u8]) -> Self {
        Self::cut(number, bytes, &[])
    }

    /// A line with at least one match.
    pub(super) fn matched(number: u64, bytes: &[u8], matcher: &RegexMatcher) -> Self {
        let line = without_end(bytes);
        let mut found = Vec::new();
        let mut end = usize::MAX;
        let _ = matcher.find_iter(line, |range| {
            if found.is_empty() {
                end = window(line, range.start()).end;
            }
            let shown = range.start() < end;
            if shown && !range.is_empty() {
                found.push(range.start()..range.end());
            }
            shown
        });
        let line = Self::cut(number, bytes, &found);
        Self {
            matched: true,
            ..line
        }
    }

    fn cut(number: u64, bytes: &[u8], found: &[Range<usize>]) -> Self {
        let line = without_end(bytes);
        let window = window(line, found.first().map_or(0, |range| range.start));
        let mut text = String::new();
        let mut ranges = Vec::new();
        let mut at = window.start;
        for range in found.iter().filter(|range| range.start < window.end) {
            text.push_str(&String::from_utf8_lossy(&line[at..range.start]));
            let start = text.len();
            at = range.end.min(window.end);
            text.push_str(&String::from_utf8_lossy(&line[range.start..at]));
            ranges.push(start..text.len());
        }
        text.push_str(&String::from_utf8_lossy(&line[at..window.end]));
        Self {
            number,
            text,
            ranges,
            matched: false,
            cut_start: window.start > 0,
            cut_end: window.end < line.len(),
        }
    }
}

/// The bytes of a line that are shown.
fn window(line: &[u8], first: usize) -> Range<usize> {
    let start = back(line, first, CHARS_BEFORE);
    start..forth(line, start, CHARS_MAX)
}

fn back(line: &[u8], from: usize, chars: usize) -> usize {
    let mut at = from;
    let mut left = chars;
    while at > 0 && left > 0 && from - at < chars * 4 {
        at -= 1;
        left -= usize::from(begins_character(line[at]));
    }
    at
}

fn forth(line: &[u8], from: usize, chars: usize) -> usize {
    let rest = &line[from..line.len().min(from + chars * 4)];
    let begins = rest
        .iter()
        .enumerate()
        .filter(|(_, byte)| begins_character(**byte));
    let end = begins.map(|(at, _)| at).nth(chars);
    from + end.unwrap_or(rest.len())
}

fn begins_character(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}

fn without_end(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(pattern: &str, bytes: &[u8]) -> Line {
        let matcher = RegexMatcher::new(pattern).expect("a pattern");
        Line::matched(1, bytes, &matcher)
    }

    fn parts(line: &Line) -> Vec<&str> {
        let parts = line.ranges.iter().map(|range| &line.text[range.clone()]);
        parts.collect()
    }

    #[test]
    fn a_short_line_is_shown_whole_with_every_match() {
        let line = line("[äb]+", "xäby ä\r\n".as_bytes());
        assert_eq!(line.text, "xäby ä");
        assert_eq!(parts(&line), ["äb", "ä"]);
        assert!(!line.cut_start && !line.cut_end);
    }

    #[test]
    fn a_long_line_is_cut_around_its_first_match() {
        let bytes = format!("{}needle{}needle", "é".repeat(10_000), "ß".repeat(10_000));
        let line = line("needle", bytes.as_bytes());
        assert_eq!(line.text.chars().count(), CHARS_MAX);
        assert_eq!(parts(&line), ["needle"]);
        assert!(line.text.starts_with("é") && line.text.ends_with("ß"));
        assert!(line.cut_start && line.cut_end);
    }

    #[test]
    fn a_match_that_is_longer_than_a_line_may_be_is_cut() {
        let line = line("a+", &[b'a'; 10_000]);
        assert_eq!(parts(&line), ["a".repeat(CHARS_MAX)]);
        assert!(line.cut_end);
    }

    #[test]
    fn what_is_not_utf_8_is_replaced_and_matches_stay_in_place() {
        let line = line("needle", b"\xff\xfe needle \x80");
        assert_eq!(line.text, "\u{fffd}\u{fffd} needle \u{fffd}");
        assert_eq!(parts(&line), ["needle"]);
    }

    proptest! {
        #[test]
        fn ranges_lie_between_characters(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
            let line = line(r"(?-u)[\x20-\xc8]{2,5}", &bytes);
            for range in &line.ranges {
                prop_assert!(line.text.get(range.clone()).is_some());
            }
        }
    }
}

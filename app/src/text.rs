//! Text that others chose, made safe and honest to show: what can't be seen or would turn the text
//! around it gets a sign.

use std::{fmt::Write as _, ops::Range};

use crate::format;

/// The text as HTML. What can't be seen is a sign whose title names it.
pub fn html(text: &str, html: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(hides) {
        let (seen, hidden) = rest.split_at(at);
        format::escape(seen, html);
        let mut letters = hidden.chars();
        if let Some(letter) = letters.next() {
            let (sign, name) = (sign(letter), name(letter));
            let _ = write!(html, "<span class=\"odd\" title=\"{name}\">{sign}</span>");
        }
        rest = letters.as_str();
    }
    format::escape(rest, html);
}

/// The text as HTML, with some parts of it marked: ranges of bytes, ascending. What is no part of
/// the text is not marked.
pub fn marked(text: &str, ranges: impl IntoIterator<Item = Range<usize>>) -> String {
    let mut out = String::new();
    let mut done = 0;
    for range in ranges {
        let (Some(before), Some(part)) = (text.get(done..range.start), text.get(range.clone()))
        else {
            continue;
        };
        html(before, &mut out);
        out.push_str("<mark>");
        html(part, &mut out);
        out.push_str("</mark>");
        done = range.end;
    }
    html(&text[done..], &mut out);
    out
}

/// Ranges of bytes of the characters at some positions, ascending; those side by side are one.
pub fn ranges_at(text: &str, positions: &[i32]) -> Vec<Range<usize>> {
    let mut wanted = positions.iter().peekable();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (number, (at, letter)) in text.char_indices().enumerate() {
        if wanted
            .next_if(|wanted| usize::try_from(**wanted) == Ok(number))
            .is_none()
        {
            continue;
        }
        let end = at + letter.len_utf8();
        match ranges.last_mut() {
            Some(last) if last.end == at => last.end = end,
            _ => ranges.push(at..end),
        }
    }
    ranges
}

/// The same as plain text, for titles and labels.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if hides(letter) {
            shown.push_str(&sign(letter));
        } else {
            shown.push(letter);
        }
    }
    shown
}

fn name(letter: char) -> String {
    format!("U+{:04X}", u32::from(letter))
}

/// What the control characters of ASCII are called, in order. Not their pictures in Unicode: few
/// fonts have them.
const CONTROLS: [&str; 32] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR",
    "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC",
    "FS", "GS", "RS", "US",
];

/// A name in brackets; a code point where there is no name.
fn sign(letter: char) -> String {
    match CONTROLS.get(letter as usize) {
        Some(control) => format!("[{control}]"),
        None => format!("[{}]", name(letter)),
    }
}

/// Whether a character can't be seen, or changes how the text around it is seen. Joiners are left
/// alone: scripts and emoji need them.
pub fn hides(letter: char) -> bool {
    match letter {
        '\t' => false,
        // Soft hyphen, marks and overrides of direction, invisible operators, separators, byte
        // order mark, annotations, tags.
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        _ => letter.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut out = String::new();
        html(text, &mut out);
        out
    }

    #[test]
    fn html_is_text() {
        assert_eq!(shown("<b>\"&'"), "&lt;b&gt;&quot;&amp;&#39;");
    }

    #[test]
    fn what_hides_gets_a_sign() {
        assert_eq!(
            shown("a\u{1b}<"),
            "a<span class=\"odd\" title=\"U+001B\">[ESC]</span>&lt;"
        );
        assert_eq!(plain("gpj\u{202e}exe"), "gpj[U+202E]exe");
        assert_eq!(plain("a\nb\u{7f}"), "a[LF]b[U+007F]");
        assert_eq!(plain("\u{85}"), "[U+0085]");
    }

    #[test]
    fn parts_are_marked_and_stay_text() {
        assert_eq!(
            marked("a<b>c", [1..3, 4..5]),
            "a<mark>&lt;b</mark>&gt;<mark>c</mark>"
        );
        assert_eq!(ranges_at("é/abc", &[0, 2, 3, 9]), [0..2, 3..5]);
        assert_eq!(marked("é", [0..1, 0..2, 1..7]), "<mark>é</mark>");
    }

    #[test]
    fn scripts_and_tabs_stay_as_they_are() {
        for text in ["naïve 日本 שלום", "\tindented", "👩\u{200d}🔬", ""] {
            assert_eq!(plain(text), text);
            assert_eq!(shown(text), text);
        }
    }
}

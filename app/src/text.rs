//! Text that others chose, made safe and honest to show: what can't be seen or would turn the text
//! around it gets a sign.

use std::fmt::Write as _;

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
fn hides(letter: char) -> bool {
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
    fn scripts_and_tabs_stay_as_they_are() {
        for text in ["naïve 日本 שלום", "\tindented", "👩\u{200d}🔬", ""] {
            assert_eq!(plain(text), text);
            assert_eq!(shown(text), text);
        }
    }
}

//! Mentions of files in what somebody writes: an `@` and a path.

use std::fmt::Write as _;

use crate::{find::LONGEST, text};

/// A mention that is being written. Places are counted as browsers do, in UTF-16 units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// Where its `@` stands.
    pub start: u32,
    /// Where the caret is.
    pub caret: u32,
    /// What stands between them.
    pub query: String,
}

/// The mention that the caret is in. An `@` within a word is none: that is how addresses look.
pub fn typed(text: &str, caret: u32) -> Option<Typed> {
    let units: Vec<u16> = text.encode_utf16().take(caret as usize).collect();
    let before = String::from_utf16_lossy(&units);
    let at = before.rfind('@')?;
    let query = &before[at + 1..];
    let opens = |letter: char| letter.is_whitespace() || "([{\"'`".contains(letter);
    let begins = before[..at].chars().next_back().is_none_or(opens);
    // A longer one can not be looked for.
    let is_query = !query.contains(char::is_whitespace) && query.chars().count() <= LONGEST;
    (begins && is_query).then(|| Typed {
        start: before[..at].encode_utf16().count() as u32,
        caret,
        query: query.to_owned(),
    })
}

/// A path of the wire as a mention. One that would not be read as one word, or that hides
/// something, stands in quotes with escapes; those of the wire are such already.
pub fn written(path: &str) -> String {
    let odd = |letter: char| letter.is_whitespace() || letter == '"' || text::hides(letter);
    if !path.contains(odd) {
        return format!("@{path}");
    }
    let mut mention = "@\"".to_owned();
    for letter in path.chars() {
        match letter {
            '"' => mention.push_str("\\\""),
            '\n' => mention.push_str("\\n"),
            '\t' => mention.push_str("\\t"),
            letter if text::hides(letter) => {
                let _ = write!(mention, "\\u{{{:x}}}", u32::from(letter));
            }
            letter => mention.push(letter),
        }
    }
    mention + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Option<String> {
        let caret = text.encode_utf16().count() as u32;
        typed(text, caret).map(|typed| typed.query)
    }

    #[test]
    fn a_mention_begins_with_an_at_that_begins_a_word() {
        for (text, expected) in [
            ("@", Some("")),
            ("look at @src/ma", Some("src/ma")),
            ("(@a", Some("a")),
            ("one\n@two", Some("two")),
            ("", None),
            ("no mention", None),
            ("mail me@example", None),
            ("@done and on", None),
        ] {
            assert_eq!(query(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(query(&format!("@{}", "a".repeat(201))), None);
    }

    #[test]
    fn places_are_counted_as_browsers_do() {
        let mention = typed("👩 @ab cd", 5).expect("a mention");
        assert_eq!(
            (mention.start, mention.caret, mention.query.as_str()),
            (3, 5, "a")
        );
    }

    #[test]
    fn a_mention_is_one_word_and_hides_nothing() {
        for (path, expected) in [
            ("src/main.rs", "@src/main.rs"),
            ("naïve/日本.md", "@naïve/日本.md"),
            ("two words.md", "@\"two words.md\""),
            ("a\nb", "@\"a\\nb\""),
            ("say \"so\"", "@\"say \\\"so\\\"\""),
            ("gpj\u{202e}exe", "@\"gpj\\u{202e}exe\""),
            ("back\\\\slash", "@back\\\\slash"),
        ] {
            assert_eq!(written(path), expected, "{path:?}");
        }
    }
}

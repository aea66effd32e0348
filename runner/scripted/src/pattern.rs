//! What a step looks for in a text.

use std::borrow::Cow;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::template::Values;

/// A text that must be contained, or a regular expression that must match. In JSON a plain string
/// is the first, `{"regex": "^run: (?<command>.*)"}` the second.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Source", into = "Source")]
pub enum Pattern {
    /// The text contains this, letter case included.
    Contains(String),
    /// The expression matches somewhere in the text; its captures become placeholders.
    Regex(Regex),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Source {
    Contains(String),
    Regex { regex: String },
}

impl Pattern {
    /// A pattern that looks for a regular expression.
    ///
    /// # Errors
    /// If `regex` is not a valid expression.
    pub fn regex(regex: &str) -> Result<Self, regex::Error> {
        Regex::new(regex).map(Self::Regex)
    }

    /// Whether the text matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Contains(part) => text.contains(part.as_str()),
            Self::Regex(regex) => regex.is_match(text),
        }
    }

    /// Adds the captures of the expression, by number and by name.
    pub(crate) fn capture(&self, text: &str, values: &mut Values) {
        let Self::Regex(regex) = self else { return };
        let Some(captures) = regex.captures(text) else {
            return;
        };
        for (number, name) in regex.capture_names().enumerate() {
            let key = name.map_or_else(|| Cow::Owned(number.to_string()), Cow::Borrowed);
            let found = captures.get(number).map_or("", |group| group.as_str());
            values.set(&key, found);
            values.set(&number.to_string(), found);
        }
    }
}

impl From<&str> for Pattern {
    fn from(part: &str) -> Self {
        Self::Contains(part.to_owned())
    }
}

impl TryFrom<Source> for Pattern {
    type Error = regex::Error;

    fn try_from(source: Source) -> Result<Self, Self::Error> {
        match source {
            Source::Contains(part) => Ok(Self::Contains(part)),
            Source::Regex { regex } => Self::regex(&regex),
        }
    }
}

impl From<Pattern> for Source {
    fn from(pattern: Pattern) -> Self {
        match pattern {
            Pattern::Contains(part) => Self::Contains(part),
            Pattern::Regex(regex) => Self::Regex {
                regex: regex.as_str().to_owned(),
            },
        }
    }
}

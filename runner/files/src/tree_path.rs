//! Paths within a workspace's tree: any bytes that Linux takes, and their one spelling as text.

use crate::staging::RESERVED_NAMES;
use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

/// Longest path in bytes.
const MAX_BYTES: usize = 4_096;
/// Longest component in bytes; Linux file systems allow no more.
const MAX_NAME_BYTES: usize = 255;
/// Most components of a path.
pub(crate) const MAX_DEPTH: usize = 255;

/// A relative path of names, none of which is special. The empty path is the top.
///
/// As text, a backslash is written `\\` and a byte that is not part of valid UTF-8 as `\x` and two
/// small hexadecimal digits. No path has a second spelling.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TreePath(Vec<u8>);

/// Why something is no path within a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It begins with a slash.
    #[error("must be relative")]
    Absolute,
    /// Two slashes follow each other, or one ends it.
    #[error("must not have an empty component")]
    EmptyComponent,
    /// It has a component `.` or `..`.
    #[error("must not have a component \".\" or \"..\"")]
    SpecialComponent,
    /// It has a NUL.
    #[error("must not have a NUL")]
    Nul,
    /// A component has more than 255 bytes.
    #[error("must not have a component of more than 255 bytes")]
    NameTooLong,
    /// It has more than 4,096 bytes.
    #[error("must have at most 4096 bytes")]
    TooLong,
    /// It has more than 255 components.
    #[error("must have at most 255 components")]
    TooDeep,
    /// It lies beneath a name at the top that an import itself uses.
    #[error("is reserved")]
    Reserved,
    /// It is not how this path is spelled.
    #[error("must write a backslash as \\\\, and as \\xNN only bytes that are not UTF-8")]
    Spelling,
}

impl TreePath {
    /// The top of the tree.
    #[must_use]
    pub fn top() -> Self {
        Self::default()
    }

    /// Takes a path as the file system has it.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.is_empty() {
            return Ok(Self::top());
        }
        if bytes.len() > MAX_BYTES {
            return Err(PathError::TooLong);
        }
        if bytes[0] == b'/' {
            return Err(PathError::Absolute);
        }
        if bytes.contains(&0) {
            return Err(PathError::Nul);
        }
        for (depth, name) in bytes.split(|byte| *byte == b'/').enumerate() {
            check_name(name, depth)?;
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The path as the file system has it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the top.
    #[must_use]
    pub fn is_top(&self) -> bool {
        self.0.is_empty()
    }

    /// The names from the top down.
    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.0
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
            .map(OsStr::from_bytes)
    }

    /// The directory that holds it and its name there; `None` for the top.
    #[must_use]
    pub fn split(&self) -> Option<(Self, &OsStr)> {
        if self.is_top() {
            return None;
        }
        let slash = self.0.iter().rposition(|byte| *byte == b'/');
        let parent = slash.map_or(&[][..], |at| &self.0[..at]);
        let name = slash.map_or(&self.0[..], |at| &self.0[at + 1..]);
        Some((Self(parent.to_vec()), OsStr::from_bytes(name)))
    }

    /// The path of an entry of this directory.
    ///
    /// # Errors
    /// When that is too long or deep, or reserved.
    pub fn join(&self, name: &OsStr) -> Result<Self, PathError> {
        if self.is_top() {
            return Self::from_bytes(name.as_bytes());
        }
        Self::from_bytes(&[&self.0, &b"/"[..], name.as_bytes()].concat())
    }

    /// Whether it is `other` or lies beneath it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let rest = self.0.strip_prefix(other.as_bytes());
        rest.is_some_and(|rest| other.is_top() || rest.is_empty() || rest[0] == b'/')
    }

    /// The path for a call that takes `.` for the top.
    pub(crate) fn as_path(&self) -> &Path {
        if self.is_top() {
            return Path::new(".");
        }
        Path::new(OsStr::from_bytes(&self.0))
    }
}

fn check_name(name: &[u8], depth: usize) -> Result<(), PathError> {
    match name {
        b"" => Err(PathError::EmptyComponent),
        b"." | b".." => Err(PathError::SpecialComponent),
        name if name.len() > MAX_NAME_BYTES => Err(PathError::NameTooLong),
        _ if depth >= MAX_DEPTH => Err(PathError::TooDeep),
        name if depth == 0 && is_reserved(name) => Err(PathError::Reserved),
        _ => Ok(()),
    }
}

/// Whether a name at the top belongs to an import.
pub(crate) fn is_reserved(name: &[u8]) -> bool {
    RESERVED_NAMES
        .iter()
        .any(|reserved| name == reserved.as_bytes())
}

impl FromStr for TreePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        if text.len() > MAX_BYTES * 4 {
            return Err(PathError::TooLong);
        }
        let path = Self::from_bytes(&unescape(text)?)?;
        if path.to_string() != text {
            return Err(PathError::Spelling);
        }
        Ok(path)
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, PathError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (b'\\', [b'x', high, low, after @ ..]) => {
                bytes.push(hexadecimal(*high)? << 4 | hexadecimal(*low)?);
                after
            }
            (b'\\', _) => return Err(PathError::Spelling),
            _ => {
                bytes.push(first);
                after
            }
        };
    }
    Ok(bytes)
}

fn hexadecimal(digit: u8) -> Result<u8, PathError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(PathError::Spelling),
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spelled(&self.0))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", spelled(&self.0))
    }
}

/// Any bytes in the spelling of paths, such as where a link leads.
#[must_use]
pub fn spelled(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_rule_has_its_own_error() {
        let long = "a".repeat(256);
        let deep = vec!["a"; 256].join("/");
        let endless = vec!["a".repeat(200); 21].join("/");
        let cases = [
            ("/etc", PathError::Absolute),
            ("a//b", PathError::EmptyComponent),
            ("a/", PathError::EmptyComponent),
            ("./a", PathError::SpecialComponent),
            ("a/..", PathError::SpecialComponent),
            ("a\0", PathError::Nul),
            (&long, PathError::NameTooLong),
            (&endless, PathError::TooLong),
            (&deep, PathError::TooDeep),
            (".membrane-import/a", PathError::Reserved),
            ("a\\", PathError::Spelling),
            ("a\\n", PathError::Spelling),
            ("a\\xF", PathError::Spelling),
            ("a\\xFF", PathError::Spelling),
            ("\\x41", PathError::Spelling),
            ("\\x2fetc", PathError::Absolute),
            ("a\\x2fb", PathError::Spelling),
            ("\\xc3\\xa9", PathError::Spelling),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<TreePath>(), Err(error), "{text:?}");
        }
        assert!("a/.membrane-import".parse::<TreePath>().is_ok());
    }

    #[test]
    fn a_path_knows_what_lies_within_it() {
        let path = |text: &str| text.parse::<TreePath>().expect("a path");
        assert!(path("a/b").is_within(&path("a")));
        assert!(path("a").is_within(&path("")));
        assert!(path("a").is_within(&path("a")));
        assert!(!path("ab").is_within(&path("a")));
        assert!(!path("a").is_within(&path("a/b")));
    }

    proptest! {
        #[test]
        fn what_is_displayed_parses_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(path) = TreePath::from_bytes(&bytes) {
                prop_assert_eq!(path.to_string().parse::<TreePath>(), Ok(path));
            }
        }

        #[test]
        fn what_parses_is_displayed_alike(text in r"([a-z/é\\]|\\x[0-9a-fA-F]{2}|\\\\){0,20}") {
            if let Ok(path) = text.parse::<TreePath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}

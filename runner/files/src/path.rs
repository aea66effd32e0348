//! The rule for paths: relative, forward slashes, no special component, bounded.

use crate::error::{ArchiveError, EntryName};
use crate::limits::Limits;
use crate::staging::RESERVED_NAMES;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Checks a path without its trailing slash.
///
/// # Errors
/// The refusal that names the rule the path breaks.
pub(crate) fn check(path: &str, limits: &Limits) -> Result<(), ArchiveError> {
    let entry = || EntryName::new(path);
    check_characters(path)?;
    if path.len() > limits.max_path_bytes {
        let limit = limits.max_path_bytes;
        return Err(ArchiveError::PathTooLong {
            entry: entry(),
            limit,
        });
    }
    for (depth, name) in path.split('/').enumerate() {
        if depth >= limits.max_depth {
            let limit = limits.max_depth;
            return Err(ArchiveError::TooDeep {
                entry: entry(),
                limit,
            });
        }
        check_component(name, path, limits)?;
    }
    let first = path.split('/').next().unwrap_or(path);
    if RESERVED_NAMES
        .iter()
        .any(|reserved| fold(reserved) == fold(first))
    {
        return Err(ArchiveError::NameReserved { entry: entry() });
    }
    Ok(())
}

fn check_characters(path: &str) -> Result<(), ArchiveError> {
    let entry = || EntryName::new(path);
    let bytes = path.as_bytes();
    if bytes.is_empty() {
        return Err(ArchiveError::NameEmpty);
    }
    if bytes.contains(&0) {
        return Err(ArchiveError::NameNul { entry: entry() });
    }
    if bytes.contains(&b'\\') {
        return Err(ArchiveError::PathBackslash { entry: entry() });
    }
    if bytes[0] == b'/' {
        return Err(ArchiveError::PathAbsolute { entry: entry() });
    }
    if bytes[0].is_ascii_alphabetic() && bytes.get(1) == Some(&b':') {
        return Err(ArchiveError::PathDrive { entry: entry() });
    }
    Ok(())
}

fn check_component(name: &str, path: &str, limits: &Limits) -> Result<(), ArchiveError> {
    let entry = || EntryName::new(path);
    match name {
        "" | "." => Err(ArchiveError::PathNotNormal { entry: entry() }),
        ".." => Err(ArchiveError::PathTraversal { entry: entry() }),
        name if name.len() > limits.max_name_bytes => {
            let limit = limits.max_name_bytes;
            Err(ArchiveError::NameTooLong {
                entry: entry(),
                limit,
            })
        }
        _ => Ok(()),
    }
}

/// The form in which twins are equal: normalised to NFC with case removed. Going up and down again
/// also joins characters with several lower-case forms, such as the Greek sigmas.
pub(crate) fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let composed = compose(name.to_owned());
    let upper = composed.chars().flat_map(char::to_uppercase);
    compose(upper.flat_map(char::to_lowercase).collect())
}

/// NFC, which nearly every name has already.
fn compose(name: String) -> String {
    match is_nfc_quick(name.chars()) {
        IsNormalized::Yes => name,
        _ => name.nfc().collect(),
    }
}

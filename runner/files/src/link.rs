//! The rule for symbolic links: relative, and within the tree whatever else the tree contains.

use crate::error::{ArchiveError, EntryName};

/// Checks the target of the link at `path` and returns it as text.
///
/// A target may go up first and then down by names, never up again. Links never have entries
/// beneath them, so the first part moves through real directories, and by induction every link
/// that the second part passes through stays in the tree as well. No resolution is needed.
///
/// # Errors
/// The refusal that names the rule the target breaks.
pub(crate) fn check<'t>(
    path: &str,
    target: &'t [u8],
    max_bytes: usize,
) -> Result<&'t str, ArchiveError> {
    let entry = || EntryName::new(path);
    if target.len() > max_bytes {
        let limit = max_bytes;
        return Err(ArchiveError::SymlinkTooLong {
            entry: entry(),
            limit,
        });
    }
    let text =
        std::str::from_utf8(target).map_err(|_| ArchiveError::SymlinkInvalid { entry: entry() })?;
    if text.is_empty() || text.contains(['\0', '\\']) {
        return Err(ArchiveError::SymlinkInvalid { entry: entry() });
    }
    if text.starts_with('/') {
        return Err(ArchiveError::SymlinkAbsolute { entry: entry() });
    }
    check_components(path, text)?;
    Ok(text)
}

fn check_components(path: &str, target: &str) -> Result<(), ArchiveError> {
    let mut above = path.split('/').count() - 1;
    let mut descended = false;
    for name in target.split('/').filter(|name| !matches!(*name, "" | ".")) {
        let entry = || EntryName::new(path);
        match (name, descended) {
            ("..", true) => return Err(ArchiveError::SymlinkDetour { entry: entry() }),
            ("..", false) if above == 0 => {
                return Err(ArchiveError::SymlinkEscapes { entry: entry() });
            }
            ("..", false) => above -= 1,
            _ => descended = true,
        }
    }
    Ok(())
}

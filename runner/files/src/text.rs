//! What is text.

/// How much of a file is looked at, in bytes: as much as git does.
const PROBE: usize = 8_000;

/// Whether contents that begin so are text: they have no NUL where git looks for one.
#[must_use]
pub fn is_text(contents: &[u8]) -> bool {
    !contents[..contents.len().min(PROBE)].contains(&0)
}

//! Images that models see.

/// Largest image, in bytes: the Messages API takes 5 MB of base64.
pub const MAX_BYTES: usize = 3_750_000;
/// Types that the Messages API accepts.
const TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Whether models see images of this media type.
#[must_use]
pub fn is_seen(media_type: &str) -> bool {
    TYPES.contains(&media_type)
}

/// The media type of contents that begin so, if they are an image that models see.
#[must_use]
pub fn media_type(beginning: &[u8]) -> Option<&'static str> {
    let media_type = infer::get(beginning)?.mime_type();
    is_seen(media_type).then_some(media_type)
}

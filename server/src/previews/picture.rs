//! Pictures that browsers show.

use membrane_proto::v1::ImagePreview;

/// Media types of pictures that are made of pixels.
const SHOWN: [&str; 7] = [
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/vnd.microsoft.icon",
    "image/webp",
];

/// Whether browsers show it.
pub(super) fn is_shown(media_type: &str) -> bool {
    SHOWN.contains(&media_type)
}

/// Whether text that begins so is a picture.
pub(super) fn is_svg(head: &[u8]) -> bool {
    head.windows(4).any(|four| four == b"<svg")
}

/// A picture that begins so.
pub(super) fn image(media_type: &str, head: &[u8]) -> ImagePreview {
    let size = imagesize::blob_size(head).ok();
    let pixels = |length: usize| i32::try_from(length).unwrap_or_default();
    ImagePreview {
        media_type: media_type.to_owned(),
        width: size.map_or(0, |size| pixels(size.width)),
        height: size.map_or(0, |size| pixels(size.height)),
    }
}

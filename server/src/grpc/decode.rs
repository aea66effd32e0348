//! From the wire: ids, names, etags, masks, each with an error that names the field.

use prost_types::FieldMask;
use uuid::Uuid;

use crate::error::Error;

/// An id of something that may be looked up. Whatever is not an id is not found, so that it looks
/// like an unknown one.
pub fn id(text: &str, what: &'static str) -> Result<Uuid, Error> {
    if text.is_empty() {
        return Err(Error::invalid(
            format!("{}_id", what.replace(' ', "_")),
            "is required",
        ));
    }
    Uuid::try_parse(text).map_err(|_| Error::NotFound(what))
}

/// An optional request id.
pub fn request_id(text: &str) -> Result<Option<Uuid>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    Uuid::try_parse(text)
        .map(Some)
        .map_err(|_| Error::invalid("request_id", "must be a UUID"))
}

/// A name of at most `max` characters.
pub fn name(field: &str, text: &str, max: usize) -> Result<String, Error> {
    let text = text.trim();
    let wrong = text.is_empty() || text.chars().count() > max || text.chars().any(char::is_control);
    if wrong {
        return Err(Error::invalid(
            field,
            format!("must have 1 to {max} characters and no control characters"),
        ));
    }
    Ok(text.to_owned())
}

/// The version behind an etag; `None` if none was given.
pub fn etag(text: &str) -> Result<Option<i64>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Error::StaleEtag)
}

/// The paths of a required mask.
pub fn mask(mask: Option<FieldMask>) -> Result<Vec<String>, Error> {
    match mask {
        Some(mask) if !mask.paths.is_empty() => Ok(mask.paths),
        _ => Err(Error::invalid(
            "update_mask",
            "must name at least one field",
        )),
    }
}

//! Pages by keyset: a page token is the last row's place in the order, opaque to clients, and
//! bound to the list it came from.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::{clock::Millis, error::Error};

const DEFAULT_SIZE: usize = 50;
const MAX_SIZE: usize = 200;

/// A place in an order by (time, id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyset {
    /// The row's time.
    pub time: Millis,
    /// The row's id.
    pub id: Uuid,
}

/// A page size as clients give it: 0 stands for `default`, and nothing is more than `max`.
///
/// # Errors
/// [`Error::Invalid`] for a negative one.
pub fn size(given: i32, default: usize, max: usize) -> Result<usize, Error> {
    match usize::try_from(given) {
        Ok(0) => Ok(default),
        Ok(given) => Ok(given.min(max)),
        Err(_) => Err(Error::invalid("page_size", "must not be negative")),
    }
}

/// A token for a place in the list named by `list`.
#[must_use]
pub fn seal(list: u8, place: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode([&[list], place].concat())
}

/// The place that a token of this list leads to; `None` for the empty one, the beginning.
///
/// # Errors
/// [`Error::Invalid`] for a token that this list did not give; `read` answers whether it is a place.
pub fn open<T>(
    list: u8,
    token: &str,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let place = bytes.split_first().filter(|(tag, _)| **tag == list);
    let place = place.and_then(|(_, place)| read(place));
    let invalid = || Error::invalid("page_token", "is not a token that this list gave");
    place.map(Some).ok_or_else(invalid)
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    list: u8,
    size: usize,
    /// The row before the first one; `None` for the beginning.
    pub after: Option<Keyset>,
}

impl Page {
    /// Reads a page size and a token of the list named by `list`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a negative size, or a token that this list did not give.
    pub fn parse(list: u8, size: i32, token: &str) -> Result<Self, Error> {
        Ok(Self {
            list,
            size: self::size(size, DEFAULT_SIZE, MAX_SIZE)?,
            after: open(list, token, place)?,
        })
    }

    /// How many rows to fetch: one more than the page has, to know whether there is another.
    #[must_use]
    pub fn fetch(&self) -> u64 {
        self.size as u64 + 1
    }

    /// Cuts fetched rows to the page, and gives the token of the next one, empty if there is none.
    pub fn cut<T>(&self, rows: &mut Vec<T>, place: impl Fn(&T) -> Keyset) -> String {
        if rows.len() <= self.size {
            return String::new();
        }
        rows.truncate(self.size);
        rows.last()
            .map(|last| format_token(self.list, place(last)))
            .unwrap_or_default()
    }
}

fn format_token(list: u8, place: Keyset) -> String {
    let time = place.time.to_be_bytes();
    seal(list, &[&time, &place.id.as_bytes()[..]].concat())
}

fn place(bytes: &[u8]) -> Option<Keyset> {
    let (time, id) = bytes.split_first_chunk()?;
    Some(Keyset {
        time: Millis::from_be_bytes(*time),
        id: Uuid::from_slice(id).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place() {
        let page = Page::parse(1, 1, "").expect("valid");
        let mut rows = vec![(7, Uuid::from_u128(1)), (6, Uuid::from_u128(2))];
        let token = page.cut(&mut rows, |(time, id)| Keyset {
            time: *time,
            id: *id,
        });
        assert_eq!(rows.len(), 1);
        let next = Page::parse(1, 1, &token).expect("valid");
        assert_eq!(
            next.after,
            Some(Keyset {
                time: 7,
                id: Uuid::from_u128(1)
            })
        );
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let token = format_token(
            1,
            Keyset {
                time: 0,
                id: Uuid::nil(),
            },
        );
        assert!(Page::parse(2, 0, &token).is_err());
        assert!(Page::parse(1, 0, &token[1..]).is_err());
        assert!(Page::parse(1, -1, "").is_err());
    }
}

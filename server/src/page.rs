//! Pages by keyset: a page token is the last row's place in the order, opaque to clients, and
//! bound to the list it came from.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::{clock::Millis, error::Error};

const DEFAULT_SIZE: u64 = 50;
const MAX_SIZE: u64 = 200;

/// A place in an order by (time, id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyset {
    /// The row's time.
    pub time: Millis,
    /// The row's id.
    pub id: Uuid,
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    list: u8,
    size: u64,
    /// The row before the first one; `None` for the beginning.
    pub after: Option<Keyset>,
}

impl Page {
    /// Reads a page size and a token of the list named by `list`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a negative size, or a token that this list did not give.
    pub fn parse(list: u8, size: i32, token: &str) -> Result<Self, Error> {
        let size = match u64::try_from(size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(MAX_SIZE),
            Err(_) => return Err(Error::invalid("page_size", "must not be negative")),
        };
        let after = if token.is_empty() {
            None
        } else {
            Some(parse_token(list, token)?)
        };
        Ok(Self { list, size, after })
    }

    /// How many rows to fetch: one more than the page has, to know whether there is another.
    #[must_use]
    pub fn fetch(&self) -> u64 {
        self.size + 1
    }

    /// Cuts fetched rows to the page, and gives the token of the next one, empty if there is none.
    pub fn cut<T>(&self, rows: &mut Vec<T>, place: impl Fn(&T) -> Keyset) -> String {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if rows.len() <= size {
            return String::new();
        }
        rows.truncate(size);
        rows.last()
            .map(|last| format_token(self.list, place(last)))
            .unwrap_or_default()
    }
}

fn format_token(list: u8, place: Keyset) -> String {
    let mut bytes = vec![list];
    bytes.extend_from_slice(&place.time.to_be_bytes());
    bytes.extend_from_slice(place.id.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn parse_token(list: u8, token: &str) -> Result<Keyset, Error> {
    let invalid = || Error::invalid("page_token", "is not a token that this list gave");
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| invalid())?;
    let (tag, rest) = bytes.split_first().ok_or_else(invalid)?;
    let (time, id) = rest.split_at_checked(8).ok_or_else(invalid)?;
    if *tag != list {
        return Err(invalid());
    }
    Ok(Keyset {
        time: Millis::from_be_bytes(time.try_into().map_err(|_| invalid())?),
        id: Uuid::from_slice(id).map_err(|_| invalid())?,
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

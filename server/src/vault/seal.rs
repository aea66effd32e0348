//! Sealing with one key: AES-256-GCM, bound to a place by associated data. Knows no database and no
//! versions.

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use zeroize::Zeroizing;

use super::VaultError;

/// Bytes of a key.
pub const KEY_LEN: usize = 32;

/// Where a sealed value lives. No part may be empty.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// Whose it is: a workspace, a user, or the server.
    pub scope: &'a str,
    /// The row within the table.
    pub row: &'a str,
}

/// The associated data of a place. Keys take nothing else, so a place with an empty part is refused
/// before any key is touched.
pub struct Bound(Vec<u8>);

impl Place<'_> {
    /// Each part with its length before it, so that no two places agree.
    ///
    /// # Errors
    /// [`VaultError::Unbound`] when a part is empty.
    pub fn bind(&self) -> Result<Bound, VaultError> {
        let mut data = Vec::new();
        for part in [self.table, self.column, self.scope, self.row] {
            if part.is_empty() {
                return Err(VaultError::Unbound);
            }
            data.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        Ok(Bound(data))
    }
}

/// 256 bits that seal. Wiped when dropped; what ring makes of them for one call is not.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; KEY_LEN]>);

impl Key {
    /// A new random key.
    ///
    /// # Errors
    /// [`VaultError::Random`].
    pub fn random() -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// The key of these bytes; `None` unless there are 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        if bytes.len() != KEY_LEN {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The bytes, to be wrapped or written into the key file.
    pub fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Seals a value: nonce ‖ ciphertext ‖ tag.
    ///
    /// # Errors
    /// [`VaultError::Random`].
    pub fn seal(&self, value: &[u8], bound: &Bound) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce)?;
        // Reserved whole: growing would leave a copy of the value behind.
        let mut whole = Vec::with_capacity(NONCE_LEN + value.len() + MAX_TAG_LEN);
        whole.extend_from_slice(&nonce);
        whole.extend_from_slice(value);
        let tag = self
            .cipher()?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&bound.0),
                &mut whole[NONCE_LEN..],
            )
            .map_err(|_| VaultError::Sealed)?;
        whole.extend_from_slice(tag.as_ref());
        Ok(whole)
    }

    /// Opens what this key has sealed for this place.
    ///
    /// # Errors
    /// [`VaultError::Sealed`] for anything else.
    pub fn open(&self, sealed: &[u8], bound: &Bound) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, ciphertext) = sealed
            .split_at_checked(NONCE_LEN)
            .ok_or(VaultError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Sealed)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .cipher()?
            .open_in_place(nonce, Aad::from(&bound.0), &mut buffer)
            .map_err(|_| VaultError::Sealed)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    fn cipher(&self) -> Result<LessSafeKey, VaultError> {
        let key = UnboundKey::new(&AES_256_GCM, &*self.0).map_err(|_| VaultError::Sealed)?;
        Ok(LessSafeKey::new(key))
    }
}

fn fill(bytes: &mut [u8]) -> Result<(), VaultError> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| VaultError::Random)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place {
        table: "provider_keys",
        column: "sealed",
        scope: "w1",
        row: "anthropic",
    };

    fn key() -> Key {
        Key::from_bytes(&[7; KEY_LEN]).expect("a key")
    }

    fn sealed() -> Vec<u8> {
        let bound = PLACE.bind().expect("bound");
        key().seal(b"the value", &bound).expect("sealed")
    }

    fn opens(sealed: &[u8], place: Place<'_>) -> bool {
        let bound = place.bind().expect("bound");
        key().open(sealed, &bound).is_ok()
    }

    #[test]
    fn a_value_opens_where_it_was_sealed() {
        let bound = PLACE.bind().expect("bound");
        let opened = key().open(&sealed(), &bound).expect("opened");
        assert_eq!(*opened, b"the value");
    }

    #[test]
    fn a_value_moved_anywhere_else_does_not_open() {
        let sealed = sealed();
        let elsewhere = [
            Place {
                table: "user_secrets",
                ..PLACE
            },
            Place {
                column: "other",
                ..PLACE
            },
            Place {
                scope: "w2",
                ..PLACE
            },
            Place {
                row: "openrouter",
                ..PLACE
            },
            // Parts that flow together are another place, too.
            Place {
                scope: "w1a",
                row: "nthropic",
                ..PLACE
            },
        ];
        for place in elsewhere {
            assert!(!opens(&sealed, place), "{place:?}");
        }
    }

    #[test]
    fn an_empty_part_is_refused() {
        let empty = [
            Place { table: "", ..PLACE },
            Place {
                column: "",
                ..PLACE
            },
            Place { scope: "", ..PLACE },
            Place { row: "", ..PLACE },
        ];
        for place in empty {
            assert!(
                matches!(place.bind(), Err(VaultError::Unbound)),
                "{place:?}"
            );
        }
    }

    #[test]
    fn a_damaged_value_does_not_open() {
        let mut sealed = sealed();
        for index in 0..sealed.len() {
            sealed[index] ^= 1;
            assert!(!opens(&sealed, PLACE), "byte {index}");
            sealed[index] ^= 1;
        }
        assert!(opens(&sealed, PLACE));
        assert!(!opens(&sealed[..4], PLACE));
    }

    #[test]
    fn equal_values_are_sealed_differently() {
        assert_ne!(sealed(), sealed());
    }
}

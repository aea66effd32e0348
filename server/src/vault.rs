//! Encryption at rest. Values are sealed with AES-256-GCM under a versioned master key, and bound
//! to their row by associated data that names table, column, workspace and row: moved anywhere
//! else, they do not open.

use std::{
    collections::BTreeMap, fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use secrecy::SecretString;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::db::{Database, DbError};

/// The text that is sealed to recognise the right key again.
const CHECK: &str = "membrane";
const CHECK_PLACE: Place<'static> = Place {
    table: "vault_check",
    column: "sealed",
    workspace: "server",
    row: "check",
};

/// Why the vault can't be used, or a value not be opened.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The keys can't be read as `version:base64` lines.
    #[error(
        "master keys must be `<version>:<base64 of 32 bytes>`, separated by commas or lines, the encrypting one first"
    )]
    Malformed,
    /// There are sealed values and no key.
    #[error(
        "the database holds encrypted values, but no master key was given (MEMBRANE_MASTER_KEYS_FILE or {0}); restore the key file, it is never made anew"
    )]
    Missing(String),
    /// There are sealed values of a version that has no key, or another key.
    #[error(
        "the master key of version {0} is missing or is not the one that this database was encrypted with"
    )]
    Wrong(i32),
    /// A part of the place is empty.
    #[error("a sealed value must be bound to a table, a column, a workspace and a row")]
    Unbound,
    /// The value was sealed elsewhere or damaged.
    #[error("a sealed value does not open in this place")]
    Sealed,
    /// The system has no randomness.
    #[error("the system's random numbers failed")]
    Random,
    /// The key file can't be read or made.
    #[error("cannot use the master key file")]
    Io(#[from] std::io::Error),
    /// The database failed.
    #[error("database error")]
    Database(#[from] DbError),
}

/// Where a sealed value lives. No part may be empty.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The workspace.
    pub workspace: &'a str,
    /// The row within the table.
    pub row: &'a str,
}

impl Place<'_> {
    /// The associated data: each part with its length before it, so that no two places agree.
    fn associated_data(&self) -> Result<Vec<u8>, VaultError> {
        let mut data = Vec::new();
        for part in [self.table, self.column, self.workspace, self.row] {
            if part.is_empty() {
                return Err(VaultError::Unbound);
            }
            data.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        Ok(data)
    }
}

/// The master keys.
pub struct Vault {
    encrypting: i32,
    keys: BTreeMap<i32, LessSafeKey>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Vault")
            .field("encrypting", &self.encrypting)
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// Reads master keys: `<version>:<base64 of 32 bytes>`, the encrypting one first.
    ///
    /// # Errors
    /// [`VaultError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let mut encrypting = None;
        let mut keys = BTreeMap::new();
        for entry in text
            .split([',', '\n'])
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let (version, key) = entry.split_once(':').ok_or(VaultError::Malformed)?;
            let version: i32 = version.parse().map_err(|_| VaultError::Malformed)?;
            let bytes = Zeroizing::new(
                BASE64_STANDARD
                    .decode(key)
                    .map_err(|_| VaultError::Malformed)?,
            );
            let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| VaultError::Malformed)?;
            if keys.insert(version, LessSafeKey::new(key)).is_some() {
                return Err(VaultError::Malformed);
            }
            encrypting.get_or_insert(version);
        }
        let encrypting = encrypting.ok_or(VaultError::Malformed)?;
        Ok(Self { encrypting, keys })
    }

    /// Opens the vault of an embedded database: the given keys, else the key file, which is made
    /// at the very first start only.
    ///
    /// # Errors
    /// [`VaultError`]; nothing is ever generated when the database holds encrypted values.
    pub async fn open(
        given: Option<&str>,
        file: &Path,
        database: &Database,
    ) -> Result<Self, VaultError> {
        let vault = match given {
            Some(text) => Self::parse(text)?,
            None => Self::from_file(file, database).await?,
        };
        vault.check(database).await?;
        Ok(vault)
    }

    async fn from_file(file: &Path, database: &Database) -> Result<Self, VaultError> {
        match fs::read_to_string(file) {
            Ok(text) => return Self::parse(&Zeroizing::new(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        if database.has_sealed_values().await? {
            return Err(VaultError::Missing(file.display().to_string()));
        }
        Self::parse(&create_key_file(file)?)
    }

    /// Recognises each stored version, and stores a check for the encrypting one if it is new.
    async fn check(&self, database: &Database) -> Result<(), VaultError> {
        let checks = database.vault_checks().await?;
        for (version, sealed) in &checks {
            let opened = self.open_sealed(*version, sealed, CHECK_PLACE);
            if opened.is_err() {
                return Err(VaultError::Wrong(*version));
            }
        }
        if checks
            .iter()
            .any(|(version, _)| *version == self.encrypting)
        {
            return Ok(());
        }
        let (version, sealed) = self.seal(CHECK, CHECK_PLACE)?;
        Ok(database.insert_vault_check(version, sealed).await?)
    }

    /// Seals a value for a place. Answers the master key's version and nonce ‖ ciphertext ‖ tag.
    ///
    /// # Errors
    /// [`VaultError::Unbound`], before any key is touched; [`VaultError::Random`].
    pub fn seal(&self, value: &str, place: Place<'_>) -> Result<(i32, Vec<u8>), VaultError> {
        let data = place.associated_data()?;
        let mut nonce = [0_u8; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| VaultError::Random)?;
        let key = self
            .keys
            .get(&self.encrypting)
            .ok_or(VaultError::Wrong(self.encrypting))?;
        let mut sealed = value.as_bytes().to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(data),
            &mut sealed,
        )
        .map_err(|_| VaultError::Sealed)?;
        let mut whole = nonce.to_vec();
        whole.append(&mut sealed);
        Ok((self.encrypting, whole))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`VaultError::Sealed`] for anything else.
    pub fn open_sealed(
        &self,
        version: i32,
        sealed: &[u8],
        place: Place<'_>,
    ) -> Result<SecretString, VaultError> {
        let data = place.associated_data()?;
        let key = self.keys.get(&version).ok_or(VaultError::Wrong(version))?;
        let (nonce, ciphertext) = sealed
            .split_at_checked(NONCE_LEN)
            .ok_or(VaultError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Sealed)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let opened = key
            .open_in_place(nonce, Aad::from(data), &mut buffer)
            .map_err(|_| VaultError::Sealed)?;
        let text = std::str::from_utf8(opened).map_err(|_| VaultError::Sealed)?;
        Ok(text.to_owned().into())
    }
}

fn create_key_file(file: &Path) -> Result<Zeroizing<String>, VaultError> {
    let mut key = Zeroizing::new([0_u8; 32]);
    SystemRandom::new()
        .fill(&mut *key)
        .map_err(|_| VaultError::Random)?;
    let text = Zeroizing::new(format!("1:{}\n", BASE64_STANDARD.encode(*key)));
    let mut created = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    created.write_all(text.as_bytes())?;
    created.sync_all()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn vault() -> Vault {
        let key = BASE64_STANDARD.encode([7_u8; 32]);
        Vault::parse(&format!("3:{key}")).expect("valid")
    }

    const PLACE: Place<'static> = Place {
        table: "provider_keys",
        column: "sealed",
        workspace: "w1",
        row: "anthropic",
    };

    #[test]
    fn a_value_opens_where_it_was_sealed() {
        let vault = vault();
        let (version, sealed) = vault.seal("the value", PLACE).expect("sealed");
        assert_eq!(version, 3);
        let opened = vault.open_sealed(version, &sealed, PLACE).expect("opened");
        assert_eq!(opened.expose_secret(), "the value");
    }

    #[test]
    fn a_value_moved_anywhere_else_does_not_open() {
        let vault = vault();
        let (version, sealed) = vault.seal("the value", PLACE).expect("sealed");
        let elsewhere = [
            Place {
                table: "secrets",
                ..PLACE
            },
            Place {
                column: "other",
                ..PLACE
            },
            Place {
                workspace: "w2",
                ..PLACE
            },
            Place {
                row: "openrouter",
                ..PLACE
            },
        ];
        for place in elsewhere {
            assert!(
                vault.open_sealed(version, &sealed, place).is_err(),
                "{place:?}"
            );
        }
    }

    #[test]
    fn parts_that_flow_together_are_different_places() {
        let vault = vault();
        let (version, sealed) = vault
            .seal(
                "the value",
                Place {
                    workspace: "ab",
                    row: "c",
                    ..PLACE
                },
            )
            .expect("sealed");
        let moved = vault.open_sealed(
            version,
            &sealed,
            Place {
                workspace: "a",
                row: "bc",
                ..PLACE
            },
        );
        assert!(moved.is_err());
    }

    #[test]
    fn an_empty_part_is_refused() {
        let result = vault().seal("the value", Place { row: "", ..PLACE });
        assert!(matches!(result, Err(VaultError::Unbound)));
    }

    #[test]
    fn a_damaged_value_does_not_open() {
        let vault = vault();
        let (version, mut sealed) = vault.seal("the value", PLACE).expect("sealed");
        for index in 0..sealed.len() {
            sealed[index] ^= 1;
            assert!(
                vault.open_sealed(version, &sealed, PLACE).is_err(),
                "byte {index}"
            );
            sealed[index] ^= 1;
        }
        assert!(vault.open_sealed(version, &sealed[..4], PLACE).is_err());
    }

    #[test]
    fn malformed_keys_are_refused() {
        let key = BASE64_STANDARD.encode([7_u8; 32]);
        for text in [
            String::new(),
            key.clone(),
            format!("x:{key}"),
            "1:AAAA".to_owned(),
            format!("1:{key},1:{key}"),
        ] {
            assert!(matches!(Vault::parse(&text), Err(VaultError::Malformed)));
        }
    }
}

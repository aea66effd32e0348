//! Master keys as an operator writes them down, and the file that holds them.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use super::{VaultError, seal::Key};

/// Master keys by their versions, the first one first.
pub struct MasterKeys(Vec<(i32, Key)>);

impl MasterKeys {
    /// Reads `<version>:<base64 of 32 bytes>`, separated by commas or lines.
    ///
    /// # Errors
    /// [`VaultError::Malformed`], also for no key at all and for a version that comes twice.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let mut keys = Vec::new();
        let entries = text.split([',', '\n']).map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            let (version, key) = parse_entry(entry).ok_or(VaultError::Malformed)?;
            if keys.iter().any(|(other, _)| *other == version) {
                return Err(VaultError::Malformed);
            }
            keys.push((version, key));
        }
        if keys.is_empty() {
            return Err(VaultError::Malformed);
        }
        Ok(Self(keys))
    }

    /// The key of this version.
    ///
    /// # Errors
    /// [`VaultError::Wrong`] when it is not among them.
    pub fn get(&self, version: i32) -> Result<&Key, VaultError> {
        let found = self.0.iter().find(|(other, _)| *other == version);
        found.map(|(_, key)| key).ok_or(VaultError::Wrong(version))
    }

    /// The version that is meant to encrypt: that of the first key.
    pub fn first(&self) -> i32 {
        self.0[0].0
    }

    /// All versions, the first one first.
    pub fn versions(&self) -> Vec<i32> {
        self.0.iter().map(|(version, _)| *version).collect()
    }
}

fn parse_entry(entry: &str) -> Option<(i32, Key)> {
    let (version, key) = entry.split_once(':')?;
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(key).ok()?);
    Some((version.parse().ok()?, Key::from_bytes(&bytes)?))
}

/// Makes a key file with one new key of version 1, for its owner's eyes only.
///
/// # Errors
/// [`VaultError::Io`], also when there is a file already.
pub fn create_file(file: &Path) -> Result<MasterKeys, VaultError> {
    let key = Key::random()?;
    let text = Zeroizing::new(format!("1:{}\n", BASE64_STANDARD.encode(key.bytes())));
    let mut created = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    created.write_all(text.as_bytes())?;
    created.sync_all()?;
    Ok(MasterKeys(vec![(1, key)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(byte: u8) -> String {
        BASE64_STANDARD.encode([byte; 32])
    }

    #[test]
    fn the_first_key_is_the_encrypting_one() {
        let text = format!("3:{}\n1:{}\n", text_of(7), text_of(8));
        let keys = MasterKeys::parse(&text).expect("valid");
        assert_eq!((keys.first(), keys.versions()), (3, vec![3, 1]));
        assert!(matches!(keys.get(2), Err(VaultError::Wrong(2))));
    }

    #[test]
    fn malformed_keys_are_refused() {
        let key = text_of(7);
        for text in [
            String::new(),
            key.clone(),
            format!("x:{key}"),
            "1:AAAA".to_owned(),
            format!("1:{key},1:{key}"),
        ] {
            assert!(matches!(
                MasterKeys::parse(&text),
                Err(VaultError::Malformed)
            ));
        }
    }
}

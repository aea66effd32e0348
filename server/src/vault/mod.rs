//! Encryption at rest, as envelopes. What belongs to a workspace or a user is sealed with a data
//! key of theirs; the data key is stored beside it, wrapped by a master key, whose version is
//! written down. Whatever is sealed or wrapped is bound to its place by associated data that names
//! table, column, scope and row: moved anywhere else, it does not open.
//!
//! The database says which version of the master key encrypts: that of the newest rotation. A key
//! that is only given has no effect. Data keys are unwrapped from the database for each use, so a
//! server that holds both versions reads what another process wraps anew meanwhile.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use membrane_entity::data_key;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    clock::Clock,
    db::{Database, DbError},
    id::{UserId, WorkspaceId},
};

mod keys;
mod rotate;
mod seal;

pub use rotate::Rotated;

use keys::MasterKeys;
use seal::{Key, Place};

/// The text that is sealed to recognise the right master key again.
const CHECK: &str = "membrane";
const CHECK_PLACE: Place<'static> = Place {
    table: "vault_check",
    column: "sealed",
    scope: "server",
    row: "check",
};

/// Why the vault can't be used, or a value not be opened.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The keys can't be read as `version:base64` lines.
    #[error(
        "master keys must be `<version>:<base64 of 32 bytes>`, separated by commas or lines, the newest first"
    )]
    Malformed,
    /// There are sealed values and no key.
    #[error(
        "the database holds encrypted values, but no master key was given (MEMBRANE_MASTER_KEYS_FILE or {0}); restore the key file, it is never made anew"
    )]
    Missing(String),
    /// There is no key, and one made here would be known to this server alone.
    #[error(
        "no master key is given, and with PostgreSQL none is made: set MEMBRANE_MASTER_KEYS or put one into {0}, as 1:<base64 of 32 random bytes>, the same for all servers"
    )]
    Required(String),
    /// There are sealed values of a version that has no key, or another key.
    #[error(
        "the master key of version {0} is missing or is not the one that this database was encrypted with"
    )]
    Wrong(i32),
    /// A part of the place is empty.
    #[error("a sealed value must be bound to a table, a column, a scope and a row")]
    Unbound,
    /// The value was sealed elsewhere or damaged.
    #[error("a sealed value does not open in this place")]
    Sealed,
    /// The system has no randomness.
    #[error("the system's random numbers failed")]
    Random,
    /// Another rotation has not ended.
    #[error(
        "a rotation to version {0} has begun and not ended; make its key the first one and finish that"
    )]
    RotationOpen(i32),
    /// A value that a master key has sealed directly can't be read, so its version is still needed.
    #[error(
        "{0} provider key(s) from before this version can't be opened; the log names them: store or delete them, then rotate"
    )]
    Unreadable(usize),
    /// The key file can't be read or made.
    #[error("cannot use the master key file")]
    Io(#[from] std::io::Error),
    /// The database failed.
    #[error("database error")]
    Database(#[from] DbError),
}

/// Whose data key seals something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A workspace, and its members through it.
    Workspace(WorkspaceId),
    /// A user alone.
    User(UserId),
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace(id) => id.fmt(formatter),
            Self::User(id) => write!(formatter, "users/{id}"),
        }
    }
}

/// Where a value of an owner lives. No part may be empty.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row within the table.
    pub row: &'a str,
}

impl<'a> Cell<'a> {
    fn within(self, scope: &'a str) -> Place<'a> {
        Place {
            table: self.table,
            column: self.column,
            scope,
            row: self.row,
        }
    }
}

/// A sealed value as it is stored.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The data key that opens it.
    pub data_key_id: Uuid,
    /// Nonce ‖ ciphertext ‖ tag.
    pub bytes: Vec<u8>,
}

/// The master keys, and the data keys that they wrap. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    master: Arc<RwLock<Arc<MasterKeys>>>,
    /// Where the master keys are read again; `None` when they were given directly.
    file: Option<PathBuf>,
    database: Database,
    clock: Clock,
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Vault")
            .field("versions", &self.versions())
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// Opens the vault of a database: the given keys, else the key file, which is made at the very
    /// first start only.
    ///
    /// # Errors
    /// [`VaultError`]; nothing is ever generated when the database holds encrypted values.
    pub async fn open(
        given: Option<&str>,
        file: &Path,
        database: &Database,
        clock: Clock,
    ) -> Result<Self, VaultError> {
        let master = match given {
            Some(text) => MasterKeys::parse(text)?,
            None => from_file(file, database).await?,
        };
        check(&master, database).await?;
        let vault = Self {
            master: Arc::new(RwLock::new(Arc::new(master))),
            file: given.is_none().then(|| file.to_owned()),
            database: database.clone(),
            clock,
        };
        vault.settle().await?;
        Ok(vault)
    }

    /// Reads the key file again. Answers whether there is one: keys that were given directly need
    /// a restart.
    ///
    /// # Errors
    /// [`VaultError`]; the keys are then those from before.
    pub async fn reload(&self) -> Result<bool, VaultError> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let text = Zeroizing::new(fs::read_to_string(file)?);
        let master = MasterKeys::parse(&text)?;
        check(&master, &self.database).await?;
        let mut held = self.master.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(master);
        Ok(true)
    }

    /// Versions of the master keys that are held, the first one first.
    #[must_use]
    pub fn versions(&self) -> Vec<i32> {
        self.master().versions()
    }

    /// Seals a value with its owner's data key, which is made when it is the first.
    ///
    /// # Errors
    /// [`VaultError::Unbound`], before any key is touched, and others.
    pub async fn seal(
        &self,
        owner: Owner,
        cell: Cell<'_>,
        value: &SecretString,
    ) -> Result<Sealed, VaultError> {
        let scope = owner.to_string();
        let bound = cell.within(&scope).bind()?;
        let row = match self.database.data_key_of(owner).await? {
            Some(row) => row,
            None => self.create_data_key(owner).await?,
        };
        let key = unwrap(&self.master(), &row)?;
        Ok(Sealed {
            data_key_id: row.id,
            bytes: key.seal(value.expose_secret().as_bytes(), &bound)?,
        })
    }

    /// Opens what was sealed for this owner and place.
    ///
    /// # Errors
    /// [`VaultError::Unbound`], before any key is touched; [`VaultError::Sealed`] for what was
    /// sealed elsewhere.
    pub async fn open_sealed(
        &self,
        owner: Owner,
        cell: Cell<'_>,
        sealed: &Sealed,
    ) -> Result<SecretString, VaultError> {
        let scope = owner.to_string();
        let bound = cell.within(&scope).bind()?;
        let row = self.database.data_key(sealed.data_key_id).await?;
        let row = row
            .filter(|row| owner_of(row) == Some(owner))
            .ok_or(VaultError::Sealed)?;
        let key = unwrap(&self.master(), &row)?;
        let opened = key.open(&sealed.bytes, &bound)?;
        let text = std::str::from_utf8(&opened).map_err(|_| VaultError::Sealed)?;
        Ok(text.to_owned().into())
    }

    async fn create_data_key(&self, owner: Owner) -> Result<data_key::Model, VaultError> {
        let key = Key::random()?;
        let id = Uuid::now_v7();
        let create_time = self.clock.now();
        let master = self.master();
        let (workspace_id, user_id) = match owner {
            Owner::Workspace(id) => (Some(id.0), None),
            Owner::User(id) => (None, Some(id.0)),
        };
        // Which version encrypts is decided in the transaction that stores what it has wrapped.
        let wrap = |master_version| {
            Ok(data_key::Model {
                id,
                workspace_id,
                user_id,
                master_version,
                wrapped: wrap(master.get(master_version)?, &key, id, owner)?,
                create_time,
            })
        };
        self.database.create_data_key(owner, wrap).await
    }

    fn master(&self) -> Arc<MasterKeys> {
        let held = self.master.read().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }
}

async fn from_file(file: &Path, database: &Database) -> Result<MasterKeys, VaultError> {
    match fs::read_to_string(file) {
        Ok(text) => return MasterKeys::parse(&Zeroizing::new(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    if database.has_sealed_values().await? {
        return Err(VaultError::Missing(file.display().to_string()));
    }
    if database.is_shared() {
        return Err(VaultError::Required(file.display().to_string()));
    }
    keys::create_file(file)
}

/// Whether each version that anything is encrypted with is there, and is the right key.
async fn check(master: &MasterKeys, database: &Database) -> Result<(), VaultError> {
    for version in database.master_versions().await?.into_keys() {
        master.get(version)?;
    }
    let bound = CHECK_PLACE.bind()?;
    for (version, sealed) in database.vault_checks().await? {
        let opened = master.get(version)?.open(&sealed, &bound);
        opened.map_err(|_| VaultError::Wrong(version))?;
    }
    Ok(())
}

fn sealed_check(key: &Key) -> Result<Vec<u8>, VaultError> {
    key.seal(CHECK.as_bytes(), &CHECK_PLACE.bind()?)
}

fn wrap(master: &Key, key: &Key, id: Uuid, owner: Owner) -> Result<Vec<u8>, VaultError> {
    let (scope, row) = (owner.to_string(), id.to_string());
    let bound = wrapped_at(&scope, &row).bind()?;
    master.seal(key.bytes(), &bound)
}

fn unwrap(master: &MasterKeys, row: &data_key::Model) -> Result<Key, VaultError> {
    let owner = owner_of(row).ok_or(VaultError::Sealed)?;
    let (scope, id) = (owner.to_string(), row.id.to_string());
    let bound = wrapped_at(&scope, &id).bind()?;
    let bytes = master.get(row.master_version)?.open(&row.wrapped, &bound)?;
    Key::from_bytes(&bytes).ok_or(VaultError::Sealed)
}

fn wrapped_at<'a>(scope: &'a str, row: &'a str) -> Place<'a> {
    Place {
        table: "data_keys",
        column: "wrapped",
        scope,
        row,
    }
}

fn owner_of(row: &data_key::Model) -> Option<Owner> {
    match (row.workspace_id, row.user_id) {
        (Some(id), None) => Some(Owner::Workspace(WorkspaceId(id))),
        (None, Some(id)) => Some(Owner::User(UserId(id))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

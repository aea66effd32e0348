//! Users' secrets: named values that go in, sealed, and are opened only to be masked.

use std::{fmt, sync::Arc};

use membrane_agent::redact;
use membrane_entity::user_secret;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::{
    clock::Clock,
    db::{Database, RequestKey, SecretLimits},
    error::Error,
    id::{SecretId, UserId},
    vault::{Cell, Owner, Sealed, Vault, VaultError},
};

const MAX_NAME: usize = 64;
const MAX_VALUE: usize = 8_192;
/// What one user may store: every turn in a workspace of theirs looks for all of it.
const LIMITS: SecretLimits = SecretLimits {
    secrets: 100,
    bytes: 65_536,
};

/// A secret to be made.
#[derive(Debug)]
pub struct NewSecret {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: SecretString,
    /// By which a repeated call is known.
    pub request_id: Option<Uuid>,
}

/// All users' secrets. Cheap to clone.
#[derive(Clone)]
pub struct Secrets {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    vault: Vault,
    clock: Clock,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Secrets in this database, sealed by this vault.
    #[must_use]
    pub fn new(database: Database, vault: Vault, clock: Clock) -> Self {
        Self {
            inner: Arc::new(Inner {
                database,
                vault,
                clock,
            }),
        }
    }

    /// Seals and stores a new secret.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::AlreadyExists`], [`Error::Exhausted`].
    pub async fn create(&self, user: UserId, new: NewSecret) -> Result<user_secret::Model, Error> {
        check_name(&new.name)?;
        let row = user_secret::Model {
            name: new.name,
            ..self.sealed(user, SecretId::new(), &new.value).await?
        };
        let key = RequestKey {
            user_id: user,
            request_id: new.request_id,
            method: "CreateSecret",
        };
        self.inner.database.create_secret(row, LIMITS, key).await
    }

    /// Puts a new value in the place of the earlier one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Exhausted`].
    pub async fn rotate(
        &self,
        user: UserId,
        name: &str,
        value: &SecretString,
    ) -> Result<user_secret::Model, Error> {
        check_value(value)?;
        let found = self.inner.database.secret(user, name).await?;
        let id = SecretId(found.ok_or(Error::NotFound("secret"))?.id);
        let row = self.sealed(user, id, value).await?;
        self.inner.database.rotate_secret(row, LIMITS).await
    }

    /// The values of some users' secrets that are long enough to be masked. One that does not open
    /// is left out and told to the operator: nobody else can open it either.
    ///
    /// # Errors
    /// The database's own.
    pub async fn open_all(&self, users: &[UserId]) -> Result<Vec<SecretString>, Error> {
        let mut values = Vec::new();
        for row in self.inner.database.secrets_of(users).await? {
            if !row.is_redacted {
                continue;
            }
            let id = row.id;
            match self.open(row).await {
                Ok(value) => values.push(value),
                Err(error) => {
                    tracing::error!(secret.id = %id, error.message = %error, "a secret can't be opened, so it is not masked");
                }
            }
        }
        Ok(values)
    }

    async fn open(&self, row: user_secret::Model) -> Result<SecretString, VaultError> {
        let id = row.id.to_string();
        let sealed = Sealed {
            data_key_id: row.data_key_id,
            bytes: row.sealed,
        };
        let owner = Owner::User(UserId(row.user_id));
        self.inner
            .vault
            .open_sealed(owner, cell(&id), &sealed)
            .await
    }

    /// A row of no name with this value.
    async fn sealed(
        &self,
        user: UserId,
        id: SecretId,
        value: &SecretString,
    ) -> Result<user_secret::Model, Error> {
        check_value(value)?;
        let row = id.to_string();
        let sealed = self
            .inner
            .vault
            .seal(Owner::User(user), cell(&row), value)
            .await
            .map_err(|error| Error::Internal(format!("a secret can't be sealed: {error}")))?;
        let now = self.inner.clock.now();
        Ok(user_secret::Model {
            id: id.0,
            user_id: user.0,
            name: String::new(),
            data_key_id: sealed.data_key_id,
            sealed: sealed.bytes,
            value_bytes: i32::try_from(value.expose_secret().len()).unwrap_or(i32::MAX),
            is_redacted: redact::is_redactable(value.expose_secret()),
            create_time: now,
            update_time: now,
            last_use_time: None,
        })
    }
}

fn cell(row: &str) -> Cell<'_> {
    Cell {
        table: "user_secrets",
        column: "sealed",
        row,
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed) {
        return Ok(());
    }
    Err(Error::invalid(
        "name",
        format!("must have 1 to {MAX_NAME} letters, digits, _ and -"),
    ))
}

fn check_value(value: &SecretString) -> Result<(), Error> {
    if (1..=MAX_VALUE).contains(&value.expose_secret().len()) {
        return Ok(());
    }
    Err(Error::invalid(
        "value",
        format!("must have 1 to {MAX_VALUE} bytes"),
    ))
}

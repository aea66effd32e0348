//! Changing the master key: every data key is wrapped anew, in small commits, while others read. A
//! rotation is a row in the database. It may be killed at any point; the next one with the same key
//! goes on where it was. What a data key has sealed stays as it is.

use membrane_entity::{data_key, direct_provider_key, provider_key};

use super::{
    Cell, Owner, Vault, VaultError, keys::MasterKeys, owner_of, sealed_check, unwrap, wrap,
};
use crate::{db::RotationStart, id::WorkspaceId};

/// Data keys in one commit.
const BATCH: u64 = 100;

/// What a rotation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// The version that encrypts now.
    pub version: i32,
    /// How many data keys this call wrapped anew.
    pub data_keys: u64,
    /// Whether an earlier call had begun it.
    pub resumed: bool,
}

impl Vault {
    /// Makes the first master key the encrypting one, and the only one that is needed.
    ///
    /// # Errors
    /// [`VaultError::RotationOpen`] when one to another version has not ended;
    /// [`VaultError::Unreadable`] when something still needs the old key.
    pub async fn rotate(&self) -> Result<Rotated, VaultError> {
        let master = self.master();
        let version = master.first();
        let check = sealed_check(master.get(version)?)?;
        let begun = self
            .database
            .begin_rotation(version, check, self.clock.now())
            .await?;
        let resumed = match begun {
            RotationStart::OtherOpen(other) => return Err(VaultError::RotationOpen(other)),
            RotationStart::Begun | RotationStart::Current => false,
            RotationStart::Resumed => true,
        };
        self.adopt().await?;
        let mut data_keys = 0;
        loop {
            data_keys += self.wrap_all_anew(&master, version).await?;
            let now = self.clock.now();
            // Somebody may have stored a data key of the old version just before the beginning.
            if self.database.finish_rotation(version, now).await? {
                return Ok(Rotated {
                    version,
                    data_keys,
                    resumed,
                });
            }
        }
    }

    async fn wrap_all_anew(&self, master: &MasterKeys, version: i32) -> Result<u64, VaultError> {
        let mut wrapped = 0;
        loop {
            let rows = self.database.data_keys_not_of(version, BATCH).await?;
            if rows.is_empty() {
                return Ok(wrapped);
            }
            wrapped += rows.len() as u64;
            let rows = rows
                .into_iter()
                .map(|row| wrapped_anew(master, version, row))
                .collect::<Result<_, _>>()?;
            self.database.store_wrapped(rows).await?;
        }
    }

    /// At every start: notes which version encrypts in a database that does not say so yet, and
    /// seals anew what a master key has sealed directly.
    pub(super) async fn settle(&self) -> Result<(), VaultError> {
        let master = self.master();
        let version = master.first();
        let check = sealed_check(master.get(version)?)?;
        let now = self.clock.now();
        self.database
            .note_first_version(version, check, now)
            .await?;
        match self.adopt().await {
            // It needs the old key for as long as that is so, and does not keep the server down.
            Err(VaultError::Unreadable(_)) => Ok(()),
            other => other,
        }
    }

    /// Seals provider keys of earlier versions of Membrane with data keys, one commit each. What
    /// does not open stays where it is.
    async fn adopt(&self) -> Result<(), VaultError> {
        let mut unreadable = 0;
        for row in self.database.direct_provider_keys().await? {
            let (workspace, provider) = (row.workspace_id, row.provider.clone());
            match self.seal_anew(row).await {
                Ok(()) => {}
                Err(VaultError::Sealed) => {
                    unreadable += 1;
                    tracing::error!(workspace.id = %workspace, provider, "a provider key can't be opened; store it anew or delete it");
                }
                Err(error) => return Err(error),
            }
        }
        if unreadable > 0 {
            return Err(VaultError::Unreadable(unreadable));
        }
        Ok(())
    }

    async fn seal_anew(&self, row: direct_provider_key::Model) -> Result<(), VaultError> {
        let owner = Owner::Workspace(WorkspaceId(row.workspace_id));
        let scope = owner.to_string();
        let cell = Cell {
            table: "provider_keys",
            column: "sealed",
            row: &row.provider,
        };
        let value = {
            let bound = cell.within(&scope).bind()?;
            let opened = self
                .master()
                .get(row.master_version)?
                .open(&row.sealed, &bound)?;
            let text = std::str::from_utf8(&opened).map_err(|_| VaultError::Sealed)?;
            text.to_owned().into()
        };
        let sealed = self.seal(owner, cell, &value).await?;
        let anew = provider_key::Model {
            workspace_id: row.workspace_id,
            provider: row.provider,
            data_key_id: sealed.data_key_id,
            sealed: sealed.bytes,
            create_time: row.create_time,
            last_use_time: row.last_use_time,
        };
        Ok(self.database.adopt_provider_key(anew).await?)
    }
}

/// The row as it will be, and the version that it must still have.
fn wrapped_anew(
    master: &MasterKeys,
    version: i32,
    row: data_key::Model,
) -> Result<(i32, data_key::Model), VaultError> {
    let key = unwrap(master, &row)?;
    let owner = owner_of(&row).ok_or(VaultError::Sealed)?;
    let before = row.master_version;
    let anew = data_key::Model {
        master_version: version,
        wrapped: wrap(master.get(version)?, &key, row.id, owner)?,
        ..row
    };
    Ok((before, anew))
}

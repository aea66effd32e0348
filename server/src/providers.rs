//! Providers' keys and the clients that use them. A key is sealed when it comes in, opened for one
//! client, and never shown again.

use std::{fmt, sync::Arc};

use membrane_agent::{
    egress::EgressGuard,
    model::{ModelClient, ModelConfig, ModelError, Probe, Provider as Wire},
};
use membrane_entity::provider_key;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    clock::Clock,
    db::{Database, SealedKey},
    error::Error,
    id::WorkspaceId,
    settings::{Provider, Settings},
    vault::{Cell, Owner, Sealed, Vault, VaultError},
};

const MAX_KEY: usize = 4_096;

/// What provider keys need.
pub struct Dependencies {
    /// What is stored.
    pub database: Database,
    /// What seals them.
    pub vault: Vault,
    /// Which addresses may be reached.
    pub guard: EgressGuard,
    /// The time.
    pub clock: Clock,
    /// The scripted model of the demo provider.
    pub demo: membrane_scripted::Handle,
    /// The key that the scripted model asks for: random, for this process only.
    pub demo_key: SecretString,
    /// Whether a session needs a key of its workspace.
    pub byok_required: bool,
}

/// Keys and clients of all workspaces. Cheap to clone.
#[derive(Clone)]
pub struct Providers {
    inner: Arc<Dependencies>,
}

impl fmt::Debug for Providers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Providers").finish_non_exhaustive()
    }
}

impl Providers {
    /// Providers with these dependencies.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            inner: Arc::new(dependencies),
        }
    }

    /// Seals and stores a key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key that no header can carry, or a provider that takes none.
    pub async fn set_key(
        &self,
        workspace: WorkspaceId,
        provider: Provider,
        key: &SecretString,
    ) -> Result<SealedKey, Error> {
        check_key(provider, key)?;
        let owner = Owner::Workspace(workspace);
        let sealed = self
            .inner
            .vault
            .seal(owner, cell(provider.as_str()), key)
            .await
            .map_err(broken)?;
        let row = provider_key::Model {
            workspace_id: workspace.0,
            provider: provider.as_str().to_owned(),
            data_key_id: sealed.data_key_id,
            sealed: sealed.bytes,
            create_time: self.inner.clock.now(),
            last_use_time: None,
        };
        self.inner.database.set_provider_key(row.clone()).await?;
        Ok(row)
    }

    /// Whether a client could be had for these settings.
    ///
    /// # Errors
    /// [`Error::Precondition`] with PROVIDER_KEY_REQUIRED.
    pub async fn check_ready(
        &self,
        workspace: WorkspaceId,
        settings: &Settings,
    ) -> Result<(), Error> {
        let provider = settings.provider;
        if provider == Provider::Demo || (provider == Provider::Custom && !self.inner.byok_required)
        {
            return Ok(());
        }
        match self
            .inner
            .database
            .provider_key(workspace, provider.as_str())
            .await?
        {
            Some(_) => Ok(()),
            None => Err(key_required(provider)),
        }
    }

    /// A client for a workspace's provider, with its key.
    ///
    /// # Errors
    /// [`Error::Precondition`]: PROVIDER_KEY_REQUIRED, or the model client's own reason.
    pub async fn client(
        &self,
        workspace: WorkspaceId,
        settings: &Settings,
    ) -> Result<ModelClient, Error> {
        let config = self.config(workspace, settings).await?;
        ModelClient::new(config).map_err(refused)
    }

    /// One cheap call with a workspace's provider, key and model. The inner result is the
    /// provider's answer.
    ///
    /// # Errors
    /// [`Error::Precondition`] with PROVIDER_KEY_REQUIRED.
    pub async fn test(
        &self,
        workspace: WorkspaceId,
        settings: &Settings,
    ) -> Result<Result<Probe, ModelError>, Error> {
        let config = self.config(workspace, settings).await?;
        Ok(match ModelClient::new(config) {
            Ok(client) => client.probe(&settings.model).await,
            Err(error) => Err(error),
        })
    }

    /// All keys that a workspace's turns might show: its own, and the demo's. One that does not open
    /// is left out and told to the operator: nobody else can open it either.
    ///
    /// # Errors
    /// The database's own.
    pub async fn open_keys(&self, workspace: WorkspaceId) -> Result<Vec<SecretString>, Error> {
        let mut keys = vec![self.inner.demo_key.clone()];
        for row in self.inner.database.provider_keys(workspace).await? {
            match self.open_row(workspace, row).await {
                Ok(key) => keys.push(key),
                Err(error) => error.log(),
            }
        }
        Ok(keys)
    }

    async fn config(
        &self,
        workspace: WorkspaceId,
        settings: &Settings,
    ) -> Result<ModelConfig, Error> {
        let (wire, base_url) = match settings.provider {
            Provider::Demo => {
                return Ok(ModelConfig {
                    key: self.inner.demo_key.clone(),
                    ..ModelConfig::demo(self.inner.demo.addr())
                });
            }
            Provider::Anthropic => (Wire::Anthropic, None),
            Provider::Openrouter => (Wire::OpenRouter, None),
            Provider::Custom => (Wire::Custom, Some(settings.base_url.clone())),
        };
        let key = self.open_key(workspace, settings.provider).await?;
        Ok(ModelConfig {
            base_url,
            ..ModelConfig::new(wire, key, self.inner.guard.clone())
        })
    }

    async fn open_key(
        &self,
        workspace: WorkspaceId,
        provider: Provider,
    ) -> Result<SecretString, Error> {
        let Some(row) = self
            .inner
            .database
            .provider_key(workspace, provider.as_str())
            .await?
        else {
            return match provider {
                Provider::Custom if !self.inner.byok_required => Ok(SecretString::default()),
                _ => Err(key_required(provider)),
            };
        };
        let key = self.open_row(workspace, row).await?;
        let now = self.inner.clock.now();
        self.inner
            .database
            .touch_provider_key(workspace, provider.as_str(), now)
            .await?;
        Ok(key)
    }

    async fn open_row(
        &self,
        workspace: WorkspaceId,
        row: SealedKey,
    ) -> Result<SecretString, Error> {
        let cell = cell(&row.provider);
        let sealed = Sealed {
            data_key_id: row.data_key_id,
            bytes: row.sealed,
        };
        let owner = Owner::Workspace(workspace);
        let opened = self.inner.vault.open_sealed(owner, cell, &sealed).await;
        opened.map_err(broken)
    }
}

fn cell(provider: &str) -> Cell<'_> {
    Cell {
        table: "provider_keys",
        column: "sealed",
        row: provider,
    }
}

fn check_key(provider: Provider, key: &SecretString) -> Result<(), Error> {
    if provider == Provider::Demo {
        return Err(Error::invalid("provider", "the demo provider takes no key"));
    }
    let key = key.expose_secret();
    if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid(
            "key",
            format!("must have 1 to {MAX_KEY} printable ASCII characters without spaces"),
        ));
    }
    Ok(())
}

fn key_required(provider: Provider) -> Error {
    Error::Precondition {
        reason: "PROVIDER_KEY_REQUIRED",
        message: format!(
            "this workspace has no key for the provider {}; store one in its settings, or choose the demo provider",
            provider.as_str()
        ),
    }
}

fn refused(error: ModelError) -> Error {
    Error::Precondition {
        reason: error.reason.as_str(),
        message: error.message,
    }
}

fn broken(error: VaultError) -> Error {
    Error::Internal(format!("a provider key can't be used: {error}"))
}

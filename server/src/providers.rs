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
    vault::{Place, Vault, VaultError},
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
        key: SecretString,
    ) -> Result<SealedKey, Error> {
        check_key(provider, &key)?;
        let id = workspace.to_string();
        let (master_version, sealed) = self
            .inner
            .vault
            .seal(key.expose_secret(), place(&id, provider))
            .map_err(broken)?;
        let row = provider_key::Model {
            workspace_id: workspace.0,
            provider: provider.as_str().to_owned(),
            master_version,
            sealed,
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
        let id = workspace.to_string();
        let key = self
            .inner
            .vault
            .open_sealed(row.master_version, &row.sealed, place(&id, provider))
            .map_err(broken)?;
        let now = self.inner.clock.now();
        self.inner
            .database
            .touch_provider_key(workspace, provider.as_str(), now)
            .await?;
        Ok(key)
    }
}

fn place(workspace: &str, provider: Provider) -> Place<'_> {
    Place {
        table: "provider_keys",
        column: "sealed",
        workspace,
        row: provider.as_str(),
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

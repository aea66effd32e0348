//! The model as a runner asks it for a run that it works on: with the token of its lease, through a
//! broker that lives as long as the attempt.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use membrane_agent::meter::Meter;
use membrane_entity::run;
use membrane_proto::v1::Usage;

use super::{Runs, Spec};
use crate::{
    broker::{Account, Broker, Commission},
    credentials::digest_of,
    error::Error,
    id::{RunId, WorkspaceId},
};

/// The brokers of runs at work. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Brokers {
    open: Arc<Mutex<HashMap<RunId, Open>>>,
}

/// The broker of one attempt.
#[derive(Debug)]
struct Open {
    attempt: i32,
    broker: Arc<Broker>,
}

impl Brokers {
    fn of(&self, run: RunId, attempt: i32) -> Option<Arc<Broker>> {
        let open = self.open();
        let found = open.get(&run).filter(|open| open.attempt == attempt)?;
        Some(found.broker.clone())
    }

    /// Keeps a broker, unless another call was quicker, and answers the one that is kept.
    fn keep(&self, run: RunId, attempt: i32, broker: Arc<Broker>) -> Arc<Broker> {
        let mut open = self.open();
        if let Some(kept) = open.get(&run).filter(|kept| kept.attempt >= attempt) {
            return kept.broker.clone();
        }
        let kept = Open {
            attempt,
            broker: broker.clone(),
        };
        if let Some(earlier) = open.insert(run, kept) {
            end(earlier);
        }
        broker
    }

    /// Whether there is one of this run.
    pub(super) fn has(&self, run: RunId) -> bool {
        self.open().contains_key(&run)
    }

    /// Ends the requests of a run that nobody works on any more.
    pub(super) fn close(&self, run: RunId) {
        if let Some(open) = self.open().remove(&run) {
            end(open);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<RunId, Open>> {
        // Every change is a single call, so a panic elsewhere leaves the map whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What still runs is counted, and nobody waits for it.
fn end(open: Open) {
    tokio::spawn(async move { open.broker.close().await });
}

impl Runs {
    /// The run of whoever holds the lease of this attempt.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Precondition`] with STALE_LEASE if nobody does with this
    /// token.
    pub async fn at_work(
        &self,
        run: RunId,
        attempt: i32,
        token: &str,
    ) -> Result<run::Model, Error> {
        let database = &self.dependencies.database;
        let lease = database.presented_lease(run, attempt, digest_of(token));
        let lease = lease.await?.ok_or(Error::NotFound("run"))?;
        self.leased(&lease).await
    }

    /// What asks the model for whoever holds the lease of this attempt.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Precondition`] with STALE_LEASE if nobody does with this
    /// token; PROVIDER_KEY_REQUIRED.
    pub async fn broker(
        &self,
        run: RunId,
        attempt: i32,
        token: &str,
    ) -> Result<Arc<Broker>, Error> {
        let row = self.at_work(run, attempt, token).await?;
        let database = &self.dependencies.database;
        if let Some(open) = self.brokers.of(run, attempt) {
            return Ok(open);
        }
        let workspace = WorkspaceId(row.workspace_id);
        let settings = Spec::settings(&row)?;
        let model = self.dependencies.providers.client(workspace, &settings);
        let redactions = &self.dependencies.redactions;
        let commission = Commission {
            account: Account::Run(run, database.clone()),
            model: Arc::new(model.await?),
            meter: Meter::new(settings.limits.metered(), usage_of(&row)),
            settings,
            log: self.dependencies.log.clone(),
            redaction: redactions.in_workspace(workspace).await?,
        };
        let broker = Broker::for_token(commission, token.to_owned().into());
        Ok(self.brokers.keep(run, attempt, broker))
    }
}

/// What a run has used.
#[must_use]
pub fn usage_of(row: &run::Model) -> Usage {
    Usage {
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        cache_creation_input_tokens: row.cache_creation_input_tokens,
        cache_read_input_tokens: row.cache_read_input_tokens,
        cost_micro_usd: row.cost_micro_usd,
        requests: row.requests,
    }
}

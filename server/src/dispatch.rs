//! Push dispatch: while runs wait, the server calls a runner's endpoint, so that runners need not be
//! there when nothing is to be done. The call carries the invoke token, which is of no use to a
//! runner; what the runner does then it does with its own token, as ever.
//!
//! A call names a run, but gives it to nobody: whoever is woken claims what there is. So a call that
//! is lost, or comes twice, does no harm.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use membrane_agent::egress::{ClientLimits, EgressGuard, GuardedClient};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    clock::Clock,
    db::Database,
    error::Error,
    id::{RunId, WorkspaceId},
    runs::Runs,
};

/// How often it is looked for runs that wait, beside the bell.
const LOOK: Duration = Duration::from_secs(2);
/// Calls at the same time.
const CALLS: usize = 32;
/// How long one may take: a runner may answer when its work is done.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Pause before the same run is called for again: after an answer, after a first failure, at most.
const ANSWERED: Duration = Duration::from_secs(5);
const FAILED: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where runners are called, and with what.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The address.
    pub url: Url,
    /// What proves to a runner that the server calls.
    pub token: SecretString,
}

/// Calls runners. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dispatch {
    endpoint: Endpoint,
    client: GuardedClient,
    database: Database,
    runs: Runs,
    clock: Clock,
    calls: Arc<Mutex<HashMap<RunId, Call>>>,
}

/// What became of the latest call for a run.
#[derive(Debug, Clone, Copy)]
enum Call {
    /// It has not been answered.
    Open,
    /// There is to be none before a time; how long the pause was.
    Pausing(Instant, Duration),
}

impl Dispatch {
    /// Dispatch to an endpoint, which the guard must let through.
    ///
    /// # Errors
    /// [`Error::Internal`] if TLS can't be set up.
    pub fn new(
        endpoint: Endpoint,
        guard: &EgressGuard,
        database: Database,
        runs: Runs,
        clock: Clock,
    ) -> Result<Self, Error> {
        let client = guard.client(ClientLimits::default());
        Ok(Self {
            endpoint,
            client: client.map_err(|error| Error::Internal(error.to_string()))?,
            database,
            runs,
            clock,
            calls: Arc::default(),
        })
    }

    /// Calls whenever runs wait, until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        let keeping = async {
            loop {
                let bell = self.runs.bell();
                if let Err(error) = self.call_for_all().await {
                    error.log();
                }
                // Whether it rang or not, there may be something now.
                let _ = timeout(LOOK, bell).await;
            }
        };
        stop.run_until_cancelled(keeping).await;
    }

    async fn call_for_all(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let waiting = self.database.waiting_runs(now, CALLS as u64 * 2).await?;
        let is_waiting = |run: &RunId| waiting.iter().any(|(id, _)| id == run);
        self.calls()
            .retain(|run, call| matches!(call, Call::Open) || is_waiting(run));
        for (run, workspace) in waiting {
            let Some(pause) = self.begin(run) else {
                continue;
            };
            let dispatch = self.clone();
            tokio::spawn(async move { dispatch.call(run, workspace, pause).await });
        }
        Ok(())
    }

    /// Whether there is to be a call for a run now; then the pause before, if there was one.
    fn begin(&self, run: RunId) -> Option<Duration> {
        let mut calls = self.calls();
        let open = calls.values().filter(|call| matches!(call, Call::Open));
        if open.count() >= CALLS {
            return None;
        }
        let pause = match calls.get(&run) {
            Some(Call::Open) => return None,
            Some(Call::Pausing(until, _)) if *until > Instant::now() => return None,
            Some(Call::Pausing(_, pause)) => *pause,
            None => Duration::ZERO,
        };
        calls.insert(run, Call::Open);
        Some(pause)
    }

    async fn call(&self, run: RunId, workspace: WorkspaceId, before: Duration) {
        let pause = match self.try_call(run, workspace).await {
            Ok(()) => ANSWERED,
            Err(why) => {
                let pause = (before * 2).clamp(FAILED, LONGEST_PAUSE);
                tracing::warn!(run.id = %run, error.message = why, pause_s = pause.as_secs(), "no runner could be called");
                pause
            }
        };
        let until = Instant::now() + pause;
        self.calls().insert(run, Call::Pausing(until, pause));
    }

    async fn try_call(&self, run: RunId, workspace: WorkspaceId) -> Result<(), String> {
        let body = json!({
            "runId": run.to_string(),
            "workspaceId": workspace.to_string(),
        });
        let request = self
            .client
            .post(self.endpoint.url.as_str())
            .map_err(|denied| denied.to_string())?;
        let answer = request
            .bearer_auth(self.endpoint.token.expose_secret())
            .header("content-type", "application/json")
            .body(body.to_string())
            .timeout(LONGEST)
            .send()
            .await
            // Not with its address, which may be nobody's business.
            .map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(format!("it answered {}", answer.status()))
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<RunId, Call>> {
        // Every change is a single call, so a panic elsewhere leaves the map whole.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! As many runs at work as there is room for, until it is time to go.

use std::{future::pending, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use membrane_agent::{
    egress::{self, EgressGuard},
    sandbox::{Sandbox, SandboxState},
};
use membrane_proto::v1::ClaimRunResponse;
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::Config,
    control::{Control, Failure},
    job::{self, Context},
    place::WorkDir,
};

/// How long a claim waits for a run.
const WAIT: Duration = Duration::from_secs(20);
/// After a claim that the server did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Claims runs and works on them. With `drain` it claims nothing more and returns when what is at
/// work has ended; with `stop`, that is ended too, for another runner to have.
///
/// # Errors
/// In words for an operator: what can't be set up, or a token that the server does not take.
pub async fn run(
    config: Config,
    drain: CancellationToken,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let sandbox = Sandbox::start(config.sandbox.clone()).await?;
    if sandbox.state() == SandboxState::Disabled {
        tracing::warn!(
            "the sandbox is switched off: what would ask a person is refused, since nobody answers"
        );
    }
    let directory = config.work_dir.clone();
    let work_dir = tokio::task::spawn_blocking(move || WorkDir::open(&directory)).await?;
    let work_dir = work_dir.context("cannot use the directory to work in")?;
    let control = Control::new(&config.server, &config.token)?;
    let guard =
        EgressGuard::new(config.egress_allow_private.clone()).deny_own(egress::own_addresses());
    tracing::info!(
        runner.name = config.name,
        runner.capacity = config.capacity,
        server = %config.server,
        "claiming runs"
    );
    let left_over = work_dir.left_over()?;
    let context = Arc::new(Context {
        config,
        control,
        sandbox,
        guard,
        work_dir,
        stop,
    });
    let pool = Pool {
        room: Arc::new(Semaphore::new(context.config.capacity)),
        context,
        tasks: TaskTracker::new(),
    };
    for job in left_over {
        pool.tasks.spawn(job::settle(pool.context.clone(), job));
    }
    pool.claim_until(&drain).await
}

struct Pool {
    context: Arc<Context>,
    room: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Pool {
    async fn claim_until(self, drain: &CancellationToken) -> anyhow::Result<()> {
        let claimed = tokio::select! {
            claimed = self.claim_for_ever() => claimed,
            () = drain.cancelled() => Ok(()),
            () = self.context.stop.cancelled() => Ok(()),
        };
        tracing::info!(runs = self.tasks.len(), "claiming nothing more");
        self.tasks.close();
        self.tasks.wait().await;
        claimed
    }

    async fn claim_for_ever(&self) -> anyhow::Result<()> {
        loop {
            let Ok(place) = self.room.clone().acquire_owned().await else {
                // It is never closed.
                pending::<()>().await;
                continue;
            };
            let Some(claimed) = self.claim().await? else {
                continue;
            };
            let context = self.context.clone();
            self.tasks.spawn(async move {
                job::attempt(context, claimed).await;
                drop(place);
            });
        }
    }

    async fn claim(&self) -> anyhow::Result<Option<ClaimRunResponse>> {
        let config = &self.context.config;
        let claimed = self
            .context
            .control
            .claim(&config.name, &config.labels, WAIT)
            .await;
        match claimed {
            Ok(claimed) => Ok(Some(claimed).filter(|claimed| claimed.run.is_some())),
            Err(Failure::Away(why)) => {
                tracing::warn!(why, "the server does not answer; trying again");
                sleep(PAUSE).await;
                Ok(None)
            }
            Err(Failure::Lost(why)) => bail!("the server does not take this token: {why}"),
            Err(Failure::Refused(why)) => bail!("the server refused the claim: {why}"),
        }
    }
}

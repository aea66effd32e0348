//! As many runs at work as there is room for, until it is time to go.

use std::{future::pending, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use membrane_agent::{
    egress::{self, EgressGuard},
    sandbox::{Sandbox, SandboxState},
};
use membrane_proto::v1::ClaimRunResponse;
use secrecy::SecretString;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    cache::Caches,
    config::{Config, Invocation},
    control::{Control, Failure},
    invoke::{self, Invoked},
    job::{self, Context},
    place::WorkDir,
};

/// How long a claim waits for a run.
const WAIT: Duration = Duration::from_secs(20);
/// How often what is kept between runs is looked through.
const TIDYING: Duration = Duration::from_mins(5);
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
    let caches = Caches::open(config.work_dir.join("caches"), config.sandbox_ttl)
        .context("cannot use the directory to work in")?;
    let control = Control::new(&config.server, &config.token)?;
    let guard =
        EgressGuard::new(config.egress_allow_private.clone()).deny_own(egress::own_addresses());
    let called = match &config.invocation {
        None => None,
        Some(invocation) => Some(listen(invocation).await?),
    };
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
        caches,
        stop,
    });
    let pool = Pool {
        room: Arc::new(Semaphore::new(context.config.capacity)),
        context,
        tasks: TaskTracker::new(),
        drain: drain.clone(),
    };
    for job in left_over {
        pool.tasks.spawn(job::settle(pool.context.clone(), job));
    }
    let tidying = tokio::spawn(tidy_now_and_then(pool.context.clone()));
    let claimed = pool.claim_until(&drain, called).await;
    tidying.abort();
    claimed
}

/// Lets go of what was kept for long, also while there is nothing to do.
async fn tidy_now_and_then(context: Arc<Context>) {
    loop {
        job::tidy(context.clone(), None).await;
        sleep(TIDYING).await;
    }
}

async fn listen(invocation: &Invocation) -> anyhow::Result<(TcpListener, SecretString)> {
    let address = invocation.listen;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "waiting to be called");
    Ok((listener, invocation.token.clone()))
}

#[derive(Clone)]
struct Pool {
    context: Arc<Context>,
    room: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Nothing more is claimed.
    drain: CancellationToken,
}

impl Pool {
    async fn claim_until(
        self,
        drain: &CancellationToken,
        called: Option<(TcpListener, SecretString)>,
    ) -> anyhow::Result<()> {
        let claiming = async {
            let Some((listener, token)) = called else {
                return self.claim_for_ever().await;
            };
            let pool = self.clone();
            let work = move || {
                let pool = pool.clone();
                async move { pool.claim_what_there_is().await }
            };
            invoke::serve(listener, token, work).await;
            Ok(())
        };
        let claimed = tokio::select! {
            claimed = claiming => claimed,
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
            if let Some(claimed) = self.claim_and_wait().await? {
                self.begin(claimed, place);
            }
        }
    }

    /// Works on one run after the other until there is none, as one of those that there is room for.
    async fn claim_what_there_is(self) -> Invoked {
        loop {
            if self.drain.is_cancelled() {
                return Invoked::Full;
            }
            let Ok(place) = self.room.clone().try_acquire_owned() else {
                return Invoked::Full;
            };
            match self.claim(Duration::ZERO).await {
                Ok(None) => return Invoked::Done,
                // What becomes of it the run says.
                Ok(Some(claimed)) => drop(self.begin(claimed, place).await),
                Err(failure) => {
                    tracing::warn!(?failure, "the server could not be asked for a run");
                    return Invoked::Failed;
                }
            }
        }
    }

    fn begin(&self, claimed: ClaimRunResponse, place: OwnedSemaphorePermit) -> JoinHandle<()> {
        let context = self.context.clone();
        self.tasks.spawn(async move {
            job::attempt(context, claimed).await;
            drop(place);
        })
    }

    async fn claim(&self, wait: Duration) -> Result<Option<ClaimRunResponse>, Failure> {
        let config = &self.context.config;
        let control = &self.context.control;
        let claimed = control.claim(&config.name, &config.labels, wait).await?;
        Ok(Some(claimed).filter(|claimed| claimed.run.is_some()))
    }

    async fn claim_and_wait(&self) -> anyhow::Result<Option<ClaimRunResponse>> {
        match self.claim(WAIT).await {
            Ok(claimed) => Ok(claimed),
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

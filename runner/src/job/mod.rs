//! One claimed run, from its lease to its end: the files fetched, the agent at work, what it made sent
//! back. A lease that is lost ends all of it at once, and nothing of it stays on this machine.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use membrane_agent::{egress::EgressGuard, sandbox::Sandbox};
use membrane_files::store::Manifest;
use membrane_proto::v1::{ClaimRunResponse, Run, RunLease, RunOutcome, TurnOutcome};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    cache::{Cache, Caches},
    config::Config,
    control::{Control, Failure, persist},
    place::{JobDir, WorkDir},
};

mod agent;
mod files;
mod heart;
mod host;
mod inside;
mod journal;
mod outbox;

use heart::Heart;
use outbox::Outbox;

/// How long a runner that is told to stop may take to say so.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long after its cancellation a run may take to end. Then its lease is let go, and the server
/// ends it.
const OVERDUE: Duration = Duration::from_mins(1);
/// How often it is tried to remove a directory, and the pause between two times.
const REMOVALS: u32 = 10;
const BETWEEN_REMOVALS: Duration = Duration::from_secs(1);
/// Longest message of a run's end in characters.
const MAX_MESSAGE: usize = 2_000;

/// What all jobs of a runner share.
#[derive(Debug)]
pub struct Context {
    /// What an operator set.
    pub config: Config,
    /// The server.
    pub control: Control,
    /// Where tools run.
    pub sandbox: Sandbox,
    /// Which addresses their processes may reach.
    pub guard: EgressGuard,
    /// Where runs are at work.
    pub work_dir: WorkDir,
    /// What is kept between them.
    pub caches: Caches,
    /// Ends all jobs, for other runners to have.
    pub stop: CancellationToken,
}

/// A claimed run.
#[derive(Debug)]
struct Job {
    context: Arc<Context>,
    run: Run,
    lease: RunLease,
    directory: JobDir,
    outbox: Outbox,
    heart: Heart,
    /// What works on its files.
    working: TaskTracker,
    /// What it uses of what is kept between runs, once it does.
    used: Mutex<Option<Used>>,
}

/// What an attempt uses of what is kept between runs.
#[derive(Debug, Clone)]
pub(crate) struct Used {
    cache: Arc<Cache>,
    /// The tree that it began with or, once it has ended, left: the next run is likely to need its
    /// contents.
    tree: Arc<Manifest>,
}

/// How an attempt ends.
#[derive(Debug)]
struct Ending {
    outcome: RunOutcome,
    message: String,
}

impl Ending {
    fn new(outcome: RunOutcome, message: impl Into<String>) -> Self {
        Self {
            outcome,
            message: message.into().chars().take(MAX_MESSAGE).collect(),
        }
    }
}

/// Works on a claimed run until it has ended or its lease is lost.
pub async fn attempt(context: Arc<Context>, claimed: ClaimRunResponse) {
    let (Some(run), Some(lease)) = (claimed.run, claimed.lease) else {
        return;
    };
    // First of all: whatever comes next may take long.
    let heart = Heart::start(&context.config, lease.clone());
    let directory = match context.work_dir.begin(&lease) {
        Ok(directory) => directory,
        Err(error) => {
            tracing::error!(%error, run.id = run.id, "there is no directory for this run");
            let message = "Its runner could not make a directory for it.";
            let ending = Ending::new(RunOutcome::Retry, message);
            return finish(&context.control, &lease, &ending).await;
        }
    };
    let outbox = match Outbox::begin(&context.control, &lease, &directory) {
        Ok(outbox) => outbox,
        Err(error) => {
            tracing::error!(%error, run.id = run.id, "what this run tells can't be kept");
            return remove(directory).await;
        }
    };
    tracing::info!(run.id = run.id, run.attempt = lease.attempt, "begins");
    let job = Job {
        context,
        run,
        lease,
        directory: directory.clone(),
        outbox,
        heart,
        working: TaskTracker::new(),
        used: Mutex::default(),
    };
    job.run().await;
    // Even when nobody waits for it: what it works on is about to go.
    job.working.close();
    job.working.wait().await;
    let context = job.context.clone();
    let used = job
        .used
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    remove(directory).await;
    tidy(context, used).await;
}

impl Job {
    async fn run(&self) {
        let stop = &self.context.stop;
        let worked = tokio::select! {
            worked = self.work() => worked,
            () = self.given_up() => Err(Failure::Lost("nobody waits for it any more".to_owned())),
            () = stop.cancelled() => {
                let message = "Its runner was told to stop.";
                Ok(Ending::new(RunOutcome::Retry, message))
            }
        };
        let ending = match worked {
            Ok(ending) => ending,
            Err(Failure::Lost(why)) => {
                tracing::warn!(why, run.id = self.run.id, "the lease is lost");
                return;
            }
            Err(Failure::Refused(why) | Failure::Away(why)) => Ending::new(RunOutcome::Failed, why),
        };
        let telling = async {
            // Without it, the log is as far as it came.
            let _ = self.outbox.flush().await;
            finish(&self.context.control, &self.lease, &ending).await;
        };
        let patience = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        // The lease ends with it: that a heartbeat is refused means nothing any more.
        tokio::select! {
            () = telling => tracing::info!(run.id = self.run.id, outcome = ending.outcome.as_str_name(), "ended"),
            () = self.overdue() => tracing::warn!(run.id = self.run.id, "the end could not be told in time"),
            () = patience => {}
        }
    }

    /// Returns when there is no use in going on: the lease is lost, or the run should have ended.
    async fn given_up(&self) {
        tokio::select! {
            () = self.heart.lost() => {}
            () = self.overdue() => {}
        }
    }

    /// Returns when the run should have ended long ago.
    async fn overdue(&self) {
        self.heart.cancel().cancelled().await;
        tokio::time::sleep(OVERDUE).await;
    }

    async fn work(&self) -> Result<Ending, Failure> {
        let control = &self.context.control;
        // Proves that reports arrive, before anything is done that they would be about.
        persist(|| control.start(&self.lease)).await?;
        let base = match self.fetch().await {
            // Another runner may have room for it.
            Err(Failure::Refused(why)) => return Ok(Ending::new(RunOutcome::Retry, why)),
            fetched => fetched?,
        };
        let report = self.agent().await?;
        if self.heart.cancel().is_cancelled() {
            return Ok(Ending::new(RunOutcome::Cancelled, "It was stopped."));
        }
        self.outbox.flush().await?;
        self.deliver(base).await?;
        let message = report.error.map(|error| error.message).unwrap_or_default();
        let outcome = match report.outcome {
            TurnOutcome::Completed => RunOutcome::Succeeded,
            _ => RunOutcome::Failed,
        };
        Ok(Ending::new(outcome, message))
    }

    /// Sends what the run made, and keeps it. What can't be kept only makes the next run begin later.
    async fn deliver(&self, base: Used) -> Result<(), Failure> {
        let tree = Arc::new(self.send(&base).await?);
        let cache = base.cache.clone();
        self.uses(Used { tree, ..base });
        let job = self.directory.clone();
        if let Err(why) = self.blocking(move || cache.keep(&job)).await {
            tracing::warn!(%why, run.id = self.run.id, "nothing of it is kept for the next run");
        }
        Ok(())
    }

    /// Notes what is to be tidied when this attempt is over.
    fn uses(&self, now: Used) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        match self.working.spawn_blocking(work).await {
            Ok(worked) => worked.map_err(files::unusable),
            Err(_) => Err(Failure::Refused("the runner failed".to_owned())),
        }
    }
}

/// Ends what an earlier process of this runner left unfinished: what it had to tell is told, and
/// another attempt is asked for, instead of waiting until the lease is lost.
pub async fn settle(context: Arc<Context>, directory: JobDir) {
    let settling = async {
        let lease = directory.lease()?;
        let outbox = Outbox::resume(&context.control, &lease, &directory)?;
        if outbox.flush().await.is_ok() {
            let message = "Its runner was started again.";
            let ending = Ending::new(RunOutcome::Retry, message);
            finish(&context.control, &lease, &ending).await;
        }
        io::Result::Ok(())
    };
    tokio::select! {
        settled = settling => if let Err(error) = settled {
            tracing::warn!(%error, "what an earlier process left can't be read");
        },
        // It stays for the next one.
        () = context.stop.cancelled() => return,
    }
    remove(directory).await;
}

async fn finish(control: &Control, lease: &RunLease, ending: &Ending) {
    let Ending { outcome, message } = ending;
    if let Err(why) = persist(|| control.finish(lease, *outcome, message)).await {
        tracing::warn!(%why, run.id = lease.run_id, "the end could not be told");
    }
}

/// Removes the directory of an attempt. Processes that are just being killed may still write to it, so
/// it is tried for a while.
async fn remove(directory: JobDir) {
    let mut left = REMOVALS;
    loop {
        let directory = directory.clone();
        let removed = tokio::task::spawn_blocking(move || directory.remove()).await;
        let Ok(Err(error)) = removed else {
            return;
        };
        left -= 1;
        if left == 0 {
            tracing::warn!(%error, "something of a run is left in the directory to work in");
            return;
        }
        tokio::time::sleep(BETWEEN_REMOVALS).await;
    }
}

/// Lets go of what nothing needs any more of what is kept between runs.
pub(crate) async fn tidy(context: Arc<Context>, used: Option<Used>) {
    let tidying = move || {
        let collected = used.map_or(Ok(()), |used| used.cache.collect(&used.tree));
        context.caches.tidy().and(collected)
    };
    if let Ok(Err(error)) = tokio::task::spawn_blocking(tidying).await {
        tracing::warn!(%error, "what was kept between runs can't be removed");
    }
}

/// How long an agent may take to stop once it is asked to.
async fn within_grace<T>(
    asked: &CancellationToken,
    working: impl Future<Output = T>,
    grace: Duration,
) -> Option<T> {
    let mut working = std::pin::pin!(working);
    tokio::select! {
        worked = &mut working => Some(worked),
        () = asked.cancelled() => timeout(grace, working).await.ok(),
    }
}

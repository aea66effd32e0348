//! Runs: the queue, its leases, and what becomes of results. The database decides who has a run;
//! here is who waits for one, and what happens when nobody is heard of any more.

use std::{sync::Arc, time::Duration};

use membrane_entity::{run, snapshot};
use membrane_files::store::{Entry, Manifest};
use membrane_proto::v1::{EventPayload, RunOutcome, RunState};
use tokio::{
    sync::{Notify, futures::Notified},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock::{Clock, Millis},
    credentials::{digest_of, new_secret},
    db::{Changed, Claimant, Database, Ending, HeldLease, RequestKey},
    error::Error,
    events::EventLog,
    files::Chunks,
    id::{RunId, ScheduleId, SnapshotId, UserId, WorkspaceId},
    providers::Providers,
    redaction::Redactions,
    sessions::Sessions,
    settings::Settings,
    snapshots::{Kind, NewSnapshot, Snapshots},
    uploads::Receiving,
};

mod apply;
mod models;
mod spec;
mod words;

use models::Brokers;

pub use apply::Applied;
pub use models::usage_of;
pub use spec::{Spec, labels, labels_of};
pub use words::{ApplyState, IF_UNCHANGED, MANUAL, is_final, parse_state, word};

/// How long a lease holds unless it is renewed.
pub const LEASE: Millis = 30_000;
/// How often lost leases are looked for, and how often a waiting claim looks again: a run may be
/// queued by what does not ring the bell, such as the end of a pause.
const PERIOD: Duration = Duration::from_secs(1);

/// What [`Runs`] works with.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// What is stored.
    pub database: Database,
    /// The event log.
    pub log: EventLog,
    /// The time.
    pub clock: Clock,
    /// What runs begin with and make.
    pub snapshots: Snapshots,
    /// Who works in workspaces.
    pub sessions: Sessions,
    /// What masks what runners tell.
    pub redactions: Redactions,
    /// Where the models of runs are.
    pub providers: Providers,
}

/// The queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runs {
    dependencies: Dependencies,
    /// Rings when a run is queued.
    queued: Arc<Notify>,
    /// What asks models for runs at work.
    brokers: Brokers,
}

/// A run to queue.
#[derive(Debug)]
pub struct NewRun {
    /// Where.
    pub workspace: WorkspaceId,
    /// Who asks for it.
    pub user: UserId,
    /// What to call it.
    pub title: String,
    /// What it does.
    pub spec: Spec,
    /// The snapshot that it begins with; the files as they are if none.
    pub base: Option<SnapshotId>,
    /// Whether its result is applied by itself.
    pub applies: bool,
    /// The schedule that makes it, if one does.
    pub origin: Option<Origin>,
    /// The run that it repeats, if it does.
    pub retry_of: Option<RunId>,
    /// Whether an agent asks for it, or a schedule that an agent has made or changed.
    pub by_agent: bool,
    /// What makes a repeated call the same call.
    pub key: RequestKey,
}

/// Where a run of a schedule comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The schedule.
    pub schedule: ScheduleId,
    /// Its slot; none if somebody wants it now.
    pub slot: Option<Millis>,
}

/// A run that was claimed.
#[derive(Debug)]
pub struct Claimed {
    /// It.
    pub run: run::Model,
    /// What proves the lease.
    pub token: String,
}

impl Runs {
    /// A queue over these.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            dependencies,
            queued: Arc::default(),
            brokers: Brokers::default(),
        }
    }

    /// Queues a run. Secrets in what is to be done are masked, as in all that people say.
    ///
    /// # Errors
    /// [`Error::Precondition`] with PROVIDER_KEY_REQUIRED; [`Error::NotFound`] for the snapshot;
    /// [`Error::Exhausted`] with TOO_MANY_RUNS.
    pub async fn create(&self, new: NewRun, settings: Settings) -> Result<run::Model, Error> {
        let database = &self.dependencies.database;
        if let Some(earlier) = database.earlier_request(new.key).await? {
            return self.get(RunId(earlier)).await;
        }
        let key = new.key;
        let row = self.prepare(new, &settings).await?;
        let now = row.create_time;
        let changed = database.insert_run(row, key, now).await?;
        Ok(self.publish(changed))
    }

    /// Queues a run that does what another one was to do, on the same files or those as they are now.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Precondition`] with FILES_GONE; those of [`Runs::create`].
    pub async fn retry(
        &self,
        id: RunId,
        on_current_files: bool,
        user: UserId,
        key: RequestKey,
    ) -> Result<run::Model, Error> {
        let earlier = self.get(id).await?;
        let settings = Spec::settings(&earlier)?;
        let base = SnapshotId(earlier.base_snapshot_id);
        let again = NewRun {
            workspace: WorkspaceId(earlier.workspace_id),
            user,
            spec: Spec::of(&earlier)?,
            base: (!on_current_files).then_some(base),
            applies: earlier.apply_mode != MANUAL,
            origin: None,
            retry_of: Some(id),
            // Whoever repeats it has seen it.
            by_agent: false,
            title: earlier.title,
            key,
        };
        match self.create(again, settings).await {
            Err(Error::NotFound("snapshot")) => Err(Error::Precondition {
                reason: "FILES_GONE",
                message: "the files that this run began with are not kept any more; run it on the files as they are now".to_owned(),
            }),
            other => other,
        }
    }

    /// The row of a run that is to be queued, with its files taken.
    ///
    /// # Errors
    /// Those of [`Runs::create`], but for TOO_MANY_RUNS.
    pub async fn prepare(&self, mut new: NewRun, settings: &Settings) -> Result<run::Model, Error> {
        let providers = &self.dependencies.providers;
        providers.check_ready(new.workspace, settings).await?;
        let redaction = self
            .dependencies
            .redactions
            .in_workspace(new.workspace)
            .await?;
        for text in [&mut new.title, &mut new.spec.prompt] {
            *text = redaction.redactor().mask(text).into_owned();
        }
        let base = self.base(&new).await?;
        let now = self.dependencies.clock.now();
        Ok(run::Model {
            id: RunId::new().0,
            workspace_id: new.workspace.0,
            user_id: Some(new.user.0),
            title: new.title,
            priority: new.spec.priority,
            max_attempts: new.spec.max_attempts,
            timeout: new.spec.timeout,
            spec: new.spec.to_json(settings)?,
            base_snapshot_id: base.id,
            base_manifest: base.manifest,
            apply_mode: if new.applies { IF_UNCHANGED } else { MANUAL }.to_owned(),
            state: word(RunState::Queued).to_owned(),
            attempt: 0,
            not_before: now,
            cancel_requested: false,
            runner_token_id: None,
            runner_name: String::new(),
            lease_digest: None,
            lease_expire_time: None,
            deadline: None,
            reported: 0,
            reason: String::new(),
            message: String::new(),
            result_snapshot_id: None,
            apply_state: ApplyState::Nothing.word().to_owned(),
            conflicts: "[]".to_owned(),
            create_time: now,
            start_time: None,
            end_time: None,
            input_tokens: 0,
            output_tokens: 0,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: 0,
            cost_micro_usd: Some(0),
            requests: 0,
            schedule_id: new.origin.map(|origin| origin.schedule.0),
            slot_time: new.origin.and_then(|origin| origin.slot),
            retry_of: new.retry_of.map(|id| id.0),
            by_agent: new.by_agent,
        })
    }

    async fn base(&self, new: &NewRun) -> Result<snapshot::Model, Error> {
        let snapshots = &self.dependencies.snapshots;
        if let Some(base) = new.base {
            return snapshots.get(new.workspace, base).await;
        }
        let picture = NewSnapshot {
            workspace: new.workspace,
            user: new.user,
            title: new.title.clone(),
            pinned: false,
            key: None,
        };
        snapshots.take(picture, Kind::RunBase).await
    }

    /// A run.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, id: RunId) -> Result<run::Model, Error> {
        let row = self.dependencies.database.run(id).await?;
        row.ok_or(Error::NotFound("run"))
    }

    /// Cancels a run, or asks its runner to.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn cancel(&self, id: RunId) -> Result<run::Model, Error> {
        let now = self.dependencies.clock.now();
        let changed = self.dependencies.database.cancel_run(id, now).await?;
        Ok(self.publish(changed))
    }

    /// Claims the run whose turn it is, waiting for one; none if none came, or `stop`.
    ///
    /// # Errors
    /// The database's own.
    pub async fn claim(
        &self,
        claimant: Claimant,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<Option<Claimed>, Error> {
        let waiting = async {
            loop {
                let bell = self.queued.notified();
                if let Some(claimed) = self.try_claim(&claimant).await? {
                    return Ok(Some(claimed));
                }
                // Whether it rang or not, there may be something now.
                let _ = timeout(PERIOD, bell).await;
            }
        };
        if wait.is_zero() {
            return self.try_claim(&claimant).await;
        }
        tokio::select! {
            claimed = timeout(wait, waiting) => claimed.unwrap_or(Ok(None)),
            () = stop.cancelled() => Ok(None),
        }
    }

    async fn try_claim(&self, claimant: &Claimant) -> Result<Option<Claimed>, Error> {
        let token = new_secret("mba_")?;
        let (database, now) = (&self.dependencies.database, self.dependencies.clock.now());
        let claimed = database.claim_run(claimant, digest_of(&token), now).await?;
        Ok(claimed.map(|changed| Claimed {
            run: self.publish(changed),
            token,
        }))
    }

    /// Begins the work of a claimed run. Answers when it must be over.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE.
    pub async fn start(&self, lease: &HeldLease) -> Result<Millis, Error> {
        let now = self.dependencies.clock.now();
        let changed = self.dependencies.database.start_run(lease, now).await?;
        Ok(self.publish(changed).deadline.unwrap_or(now))
    }

    /// Renews a lease.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE.
    pub async fn renew(&self, lease: &HeldLease) -> Result<run::Model, Error> {
        let now = self.dependencies.clock.now();
        self.dependencies.database.renew_lease(lease, now).await
    }

    /// The run of a lease that holds.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE.
    pub async fn leased(&self, lease: &HeldLease) -> Result<run::Model, Error> {
        let now = self.dependencies.clock.now();
        self.dependencies.database.leased_run(lease, now).await
    }

    /// The files that a run begins with, as a zip archive.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE; [`Error::Exhausted`] with EXPORTS.
    pub async fn download(&self, lease: &HeldLease) -> Result<Chunks, Error> {
        let run = self.leased(lease).await?;
        let workspace = WorkspaceId(run.workspace_id);
        let snapshots = &self.dependencies.snapshots;
        snapshots
            .export_manifest(workspace, run.base_manifest)
            .await
    }

    /// Adds what a runner tells, masked. Answers the number up to which everything is stored.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE or GAP.
    pub async fn append(
        &self,
        lease: &HeldLease,
        first: i64,
        payloads: Vec<EventPayload>,
    ) -> Result<i64, Error> {
        let run = self.leased(lease).await?;
        let workspace = WorkspaceId(run.workspace_id);
        let redaction = self.dependencies.redactions.in_workspace(workspace).await?;
        let mask = |payload| redaction.redactor().mask_payload(payload);
        let masked = payloads.into_iter().map(mask).collect();
        let now = self.dependencies.clock.now();
        let database = &self.dependencies.database;
        let (last, events) = database
            .append_run_events(lease, first, masked, now)
            .await?;
        self.dependencies.log.publish(events);
        Ok(last)
    }

    /// Makes a snapshot of what a run has made.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE; the archive's own reason.
    pub async fn upload(
        &self,
        lease: &HeldLease,
        received: Receiving,
    ) -> Result<snapshot::Model, Error> {
        let new = result_of(self.leased(lease).await?);
        let snapshots = &self.dependencies.snapshots;
        let (result, _) = snapshots.import(new, received, Kind::RunResult).await?;
        self.note_result(lease, result).await
    }

    /// What a run begins with, and where.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE.
    pub async fn begins_with(&self, lease: &HeldLease) -> Result<(WorkspaceId, Manifest), Error> {
        let run = self.leased(lease).await?;
        let workspace = WorkspaceId(run.workspace_id);
        let snapshots = &self.dependencies.snapshots;
        let manifest = snapshots.recorded(workspace, run.base_manifest).await?;
        Ok((workspace, manifest))
    }

    /// Makes a snapshot of what a run has made, whose contents are there.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE or MISSING_BLOB; [`Error::Invalid`].
    pub async fn commit(
        &self,
        lease: &HeldLease,
        entries: Vec<Entry>,
    ) -> Result<snapshot::Model, Error> {
        let new = result_of(self.leased(lease).await?);
        let snapshots = &self.dependencies.snapshots;
        let result = snapshots.commit(new, entries, Kind::RunResult).await?;
        self.note_result(lease, result).await
    }

    async fn note_result(
        &self,
        lease: &HeldLease,
        result: snapshot::Model,
    ) -> Result<snapshot::Model, Error> {
        let (id, now) = (SnapshotId(result.id), self.dependencies.clock.now());
        let database = &self.dependencies.database;
        database.set_run_result(lease, id, now).await?;
        Ok(result)
    }

    /// Ends a run as its runner says, and applies what it made if that is wanted.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE; [`Error::Invalid`] for no outcome.
    pub async fn finish(
        &self,
        lease: &HeldLease,
        outcome: RunOutcome,
        message: String,
    ) -> Result<run::Model, Error> {
        let workspace = WorkspaceId(self.leased(lease).await?.workspace_id);
        let redaction = self.dependencies.redactions.in_workspace(workspace).await?;
        let (state, reason) = match outcome {
            RunOutcome::Succeeded => (RunState::Succeeded, ""),
            RunOutcome::Failed => (RunState::Failed, "RUNNER_FAILED"),
            RunOutcome::Retry => (RunState::Queued, "RUNNER_RETRY"),
            RunOutcome::Cancelled => (RunState::Cancelled, "CANCELLED"),
            RunOutcome::Unspecified => {
                return Err(Error::invalid("outcome", "must be one of the named values"));
            }
        };
        let ending = Ending {
            state,
            reason,
            // No text of PostgreSQL may have one of these.
            message: redaction.redactor().mask(&message).replace('\0', ""),
        };
        let now = self.dependencies.clock.now();
        let database = &self.dependencies.database;
        let ended = database.finish_run(lease, ending, now).await?;
        // Who watches is told when it is also known what becomes of the result.
        let settled = self.settle(ended.run.clone()).await;
        self.publish(ended);
        settled
    }

    /// Looks for lost leases, now and again and again, until `stop`.
    pub async fn keep_leases(self, stop: CancellationToken) {
        let keeping = async {
            loop {
                if let Err(error) = self.expire().await {
                    error.log();
                }
                tokio::time::sleep(PERIOD).await;
            }
        };
        tokio::select! {
            () = keeping => {}
            () = stop.cancelled() => {}
        }
    }

    /// Ends the attempts whose lease is lost by now.
    ///
    /// # Errors
    /// The database's own.
    pub async fn expire(&self) -> Result<(), Error> {
        let now = self.dependencies.clock.now();
        for changed in self.dependencies.database.expire_runs(now).await? {
            self.publish(changed);
        }
        Ok(())
    }

    /// To be called before anything else when a server starts: nobody could renew a lease while
    /// none was there.
    ///
    /// # Errors
    /// The database's own.
    pub async fn recover(&self) -> Result<(), Error> {
        let now = self.dependencies.clock.now();
        Ok(self.dependencies.database.revive_leases(now).await?)
    }

    /// Rings when a run is queued, from now on.
    pub fn bell(&self) -> Notified<'_> {
        self.queued.notified()
    }

    /// Lets those look who wait for a run: another server may have queued one.
    pub fn ring(&self) {
        self.queued.notify_waiters();
    }

    /// Looks at a run that another server has changed: what asked the model for it ends with its
    /// attempt.
    pub async fn heed_change(&self, run: RunId) {
        if !self.brokers.has(run) {
            return;
        }
        match self.dependencies.database.run(run).await {
            Ok(Some(row)) if row.lease_digest.is_some() => {}
            Ok(_) => self.brokers.close(run),
            Err(error) => Error::from(error).log(),
        }
    }

    /// Tells of a change that is stored.
    pub(crate) fn publish(&self, changed: Changed) -> run::Model {
        self.dependencies.log.publish(changed.events);
        if changed.run.lease_digest.is_none() {
            self.brokers.close(RunId(changed.run.id));
        }
        if changed.run.state == word(RunState::Queued) {
            self.ring();
            self.dependencies.log.hub.signals().queued();
        }
        changed.run
    }
}

/// The snapshot of what a run has made.
fn result_of(run: run::Model) -> NewSnapshot {
    NewSnapshot {
        workspace: WorkspaceId(run.workspace_id),
        user: user_of(&run),
        title: run.title,
        pinned: false,
        key: None,
    }
}

/// A user's id in a run whose user may be gone.
fn user_of(run: &run::Model) -> UserId {
    UserId(run.user_id.unwrap_or(Uuid::nil()))
}

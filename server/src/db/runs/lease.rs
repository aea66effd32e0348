//! What a lease allows: claiming a run, and all that a runner writes while it holds.

use std::collections::{HashMap, HashSet};

use membrane_entity::{run, runner_token, schedule, workspace};
use membrane_proto::v1::{Event, EventPayload, RunState, event_payload::Kind};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
    sea_query::{Expr, LockBehavior, LockType},
};
use uuid::Uuid;

use super::{Changed, Claimant, Ending, HeldLease, cancelled, end, lock, lock_to_end, store};
use crate::{
    clock::Millis,
    db::{
        Database,
        events::{self, NewEvent},
        locked,
    },
    error::Error,
    id::{RunId, RunnerTokenId, SnapshotId, WorkspaceId},
    runs::{LEASE, labels_of, word},
};

/// Queued runs that are looked at for one claim.
const CANDIDATES: u64 = 500;
/// The reason of what worked too long.
const TIMEOUT: &str = "TIMEOUT";

impl Database {
    /// Gives the run whose turn it is to a claimant, under a lease with this digest.
    ///
    /// # Errors
    /// The database's own.
    pub async fn claim_run(
        &self,
        claimant: &Claimant,
        digest: [u8; 32],
        now: Millis,
    ) -> Result<Option<Changed>, Error> {
        // Most claims find nothing; they need not wait for the one writer.
        if candidates(&self.reader, claimant, now).await?.is_empty() {
            return Ok(None);
        }
        let transaction = self.begin().await?;
        let queued = candidates(&transaction, claimant, now).await?;
        let at_work = AtWork::now(&transaction, &queued).await?;
        let queued = in_order(queued, &at_work);
        let Some(mut row) = take_first(&transaction, queued).await? else {
            return Ok(None);
        };
        row.state = word(RunState::Claimed).to_owned();
        row.attempt += 1;
        row.runner_token_id = Some(claimant.token.0);
        row.runner_name.clone_from(&claimant.name);
        row.lease_digest = Some(digest.to_vec());
        row.lease_expire_time = Some(now + LEASE);
        row.deadline = None;
        row.reported = 0;
        row.reason = String::new();
        row.message = String::new();
        let changed = store(&transaction, row, true, now).await?;
        transaction.commit().await?;
        Ok(Some(changed))
    }

    /// Queued runs that may be claimed by now, with their workspaces, the first ones first, at most
    /// `limit`.
    ///
    /// # Errors
    /// The database's own.
    pub async fn waiting_runs(
        &self,
        now: Millis,
        limit: u64,
    ) -> Result<Vec<(RunId, WorkspaceId)>, DbErr> {
        let rows: Vec<(Uuid, Uuid)> = queued(now)
            .select_only()
            .column(run::Column::Id)
            .column(run::Column::WorkspaceId)
            .limit(limit)
            .into_tuple()
            .all(&self.reader)
            .await?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|(run, workspace)| (RunId(run), WorkspaceId(workspace)))
            .collect())
    }

    /// Begins the work of a claimed run; does nothing to one that has begun.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE.
    pub async fn start_run(&self, lease: &HeldLease, now: Millis) -> Result<Changed, Error> {
        let transaction = self.begin().await?;
        let mut row = held(&transaction, lease, now).await?;
        if row.deadline.is_some() {
            return Ok(Changed {
                run: row,
                events: Vec::new(),
            });
        }
        row.state = word(RunState::Running).to_owned();
        row.start_time = row.start_time.or(Some(now));
        row.deadline = Some(now + row.timeout);
        row.lease_expire_time = Some(now + LEASE);
        let changed = store(&transaction, row, true, now).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Renews a lease.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE.
    pub async fn renew_lease(&self, lease: &HeldLease, now: Millis) -> Result<run::Model, Error> {
        let transaction = self.begin().await?;
        let mut row = held(&transaction, lease, now).await?;
        row.lease_expire_time = Some(now + LEASE);
        let changed = store(&transaction, row, false, now).await?;
        transaction.commit().await?;
        Ok(changed.run)
    }

    /// The run of a lease that holds.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE.
    pub async fn leased_run(&self, lease: &HeldLease, now: Millis) -> Result<run::Model, Error> {
        let found = run::Entity::find_by_id(lease.run.0)
            .one(&self.reader)
            .await?;
        check(found, lease, now)
    }

    /// The lease of an attempt as whoever shows its token holds it, if it was ever given and the
    /// runner that got it may still come; whether it still holds is another question.
    ///
    /// # Errors
    /// The database's own.
    pub async fn presented_lease(
        &self,
        run: RunId,
        attempt: i32,
        digest: [u8; 32],
    ) -> Result<Option<HeldLease>, DbErr> {
        let found = self.run(run).await?;
        let Some(token) = found.and_then(|row| row.runner_token_id) else {
            return Ok(None);
        };
        let token = runner_token::Entity::find_by_id(token)
            .one(&self.reader)
            .await?;
        Ok(token.map(|token| HeldLease {
            run,
            attempt,
            digest,
            token: RunnerTokenId(token.id),
            workspace: token.workspace_id.map(WorkspaceId),
        }))
    }

    /// Adds what a runner tells, from its number `first` on. What is known already is left out, and
    /// must be the same. Answers the number up to which everything is stored, and what to publish.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE, GAP or OTHER_EVENT.
    pub async fn append_run_events(
        &self,
        lease: &HeldLease,
        first: i64,
        payloads: Vec<EventPayload>,
        now: Millis,
    ) -> Result<(i64, Vec<Event>), Error> {
        let transaction = self.begin().await?;
        let mut row = held(&transaction, lease, now).await?;
        if first > row.reported + 1 {
            return Err(Error::Precondition {
                reason: "GAP",
                message: format!("the next number is {}, not {first}", row.reported + 1),
            });
        }
        let known = usize::try_from(row.reported + 1 - first).unwrap_or(usize::MAX);
        let stream = lease.run.stream();
        if known > 0 {
            check_same(&transaction, &stream, known, &payloads).await?;
        }
        let new = payloads.into_iter().skip(known).map(|payload| NewEvent {
            stream: stream.clone(),
            turn_id: String::new(),
            payload,
        });
        let stored = events::insert(&transaction, new.collect(), now).await?;
        row.reported += i64::try_from(stored.len()).unwrap_or(i64::MAX);
        let row = store(&transaction, row, false, now).await?.run;
        transaction.commit().await?;
        Ok((row.reported, stored))
    }

    /// Notes what a run made.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE.
    pub async fn set_run_result(
        &self,
        lease: &HeldLease,
        result: SnapshotId,
        now: Millis,
    ) -> Result<(), Error> {
        let transaction = self.begin().await?;
        let mut row = held(&transaction, lease, now).await?;
        row.result_snapshot_id = Some(result.0);
        store(&transaction, row, false, now).await?;
        Ok(transaction.commit().await?)
    }

    /// Ends an attempt as its runner says.
    ///
    /// # Errors
    /// [`Error::Precondition`] with STALE_LEASE.
    pub async fn finish_run(
        &self,
        lease: &HeldLease,
        ending: Ending,
        now: Millis,
    ) -> Result<Changed, Error> {
        let transaction = self.begin().await?;
        let found = lock_to_end(&transaction, lease.run).await?;
        let row = check(found, lease, now)?;
        let changed = end(&transaction, row, ending, now).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Ends the attempts whose lease is lost, and asks those to stop that are over their time.
    ///
    /// # Errors
    /// The database's own.
    pub async fn expire_runs(&self, now: Millis) -> Result<Vec<Changed>, Error> {
        let overdue = run::Entity::find()
            .filter(run::Column::EndTime.is_null())
            .filter(
                Condition::any()
                    .add(run::Column::LeaseExpireTime.lte(now))
                    .add(
                        Condition::all()
                            .add(run::Column::Deadline.lte(now))
                            .add(run::Column::CancelRequested.eq(false)),
                    ),
            )
            .limit(CANDIDATES)
            .all(&self.reader)
            .await?;
        let mut changed = Vec::new();
        for row in overdue {
            changed.extend(self.expire_run(RunId(row.id), now).await?);
        }
        Ok(changed)
    }

    async fn expire_run(&self, id: RunId, now: Millis) -> Result<Option<Changed>, Error> {
        let transaction = self.begin().await?;
        let Some(mut row) = lock_to_end(&transaction, id).await? else {
            return Ok(None);
        };
        let is_lost = row.lease_expire_time.is_some_and(|time| time <= now);
        let is_late = row.deadline.is_some_and(|time| time <= now);
        if !is_lost && is_late && !row.cancel_requested {
            row.cancel_requested = true;
            row.reason = TIMEOUT.to_owned();
            let changed = store(&transaction, row, false, now).await?;
            transaction.commit().await?;
            return Ok(Some(changed));
        }
        if !is_lost {
            return Ok(None);
        }
        let ending = match (row.cancel_requested, row.reason.as_str()) {
            (true, TIMEOUT) => timed_out(),
            (true, _) => cancelled(),
            (false, _) => lost(),
        };
        let changed = end(&transaction, row, ending, now).await?;
        transaction.commit().await?;
        Ok(Some(changed))
    }

    /// Gives every lease its whole time again: nobody could renew one while the server was away.
    ///
    /// # Errors
    /// The database's own.
    pub async fn revive_leases(&self, now: Millis) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        run::Entity::update_many()
            .col_expr(run::Column::LeaseExpireTime, Expr::value(now + LEASE))
            .filter(run::Column::EndTime.is_null())
            .filter(run::Column::LeaseExpireTime.is_not_null())
            .exec(&transaction)
            .await?;
        transaction.commit().await
    }
}

/// Refuses to take a number for another event than the one that has it. `known` of the latest
/// events of the stream that are a runner's have the numbers that `told` begins with.
async fn check_same(
    transaction: &DatabaseTransaction,
    stream: &str,
    known: usize,
    told: &[EventPayload],
) -> Result<(), Error> {
    let stored = events::latest(transaction, stream, known, is_a_runners).await?;
    if stored.iter().zip(told).all(|(stored, told)| stored == told) {
        return Ok(());
    }
    Err(Error::Precondition {
        reason: "OTHER_EVENT",
        message: "one of these numbers is that of another event".to_owned(),
    })
}

/// Whether a runner has told this, and not the server.
fn is_a_runners(kind: &Kind) -> bool {
    match kind {
        Kind::RunStateChanged(_) | Kind::InsideRequest(_) => false,
        Kind::LimitMet(met) => !met.inside,
        _ => true,
    }
}

fn timed_out() -> Ending {
    Ending {
        state: RunState::Failed,
        reason: TIMEOUT,
        message: "It worked for longer than it may.".to_owned(),
    }
}

fn lost() -> Ending {
    Ending {
        state: RunState::Queued,
        reason: "LEASE_EXPIRED",
        message: "Its runner was not heard of any more.".to_owned(),
    }
}

/// Queued runs whose pause is over, the oldest of the highest priority first.
fn queued(now: Millis) -> Select<run::Entity> {
    run::Entity::find()
        .filter(run::Column::State.eq(word(RunState::Queued)))
        .filter(run::Column::NotBefore.lte(now))
        .order_by_desc(run::Column::Priority)
        .order_by_asc(run::Column::CreateTime)
        .order_by_asc(run::Column::Id)
}

/// Queued runs that a claimant may have, the oldest of the highest priority first.
async fn candidates(
    connection: &impl ConnectionTrait,
    claimant: &Claimant,
    now: Millis,
) -> Result<Vec<run::Model>, DbErr> {
    let mut query = queued(now);
    if let Some(workspace) = claimant.workspace {
        query = query.filter(run::Column::WorkspaceId.eq(workspace.0));
    }
    let queued = query.limit(CANDIDATES).all(connection).await?;
    let fits = |row: &run::Model| {
        let wanted = labels_of(&row.spec);
        wanted
            .iter()
            .all(|(name, value)| claimant.labels.get(name) == Some(value))
    };
    Ok(queued.into_iter().filter(fits).collect())
}

/// What is at work.
struct AtWork {
    /// How many runs, by workspace.
    workspaces: HashMap<Uuid, usize>,
    /// Of which schedules.
    schedules: HashSet<Uuid>,
    /// How many may be, of workspaces that have a limit.
    limits: HashMap<Uuid, usize>,
}

impl AtWork {
    async fn now(transaction: &DatabaseTransaction, queued: &[run::Model]) -> Result<Self, DbErr> {
        let limits = limits(transaction, queued).await?;
        let busy: Vec<(Uuid, Option<Uuid>)> = at_work()
            .select_only()
            .column(run::Column::WorkspaceId)
            .column(run::Column::ScheduleId)
            .into_tuple()
            .all(transaction)
            .await?;
        let mut workspaces = HashMap::new();
        for (workspace, _) in &busy {
            *workspaces.entry(*workspace).or_default() += 1;
        }
        let schedules = busy.iter().filter_map(|(_, schedule)| *schedule);
        Ok(Self {
            workspaces,
            schedules: schedules.collect(),
            limits,
        })
    }

    fn of_workspace(&self, workspace: Uuid) -> usize {
        self.workspaces.get(&workspace).copied().unwrap_or_default()
    }

    fn may_begin(&self, row: &run::Model) -> bool {
        let workspace = row.workspace_id;
        let limit = self.limits.get(&workspace);
        limit.is_none_or(|limit| self.of_workspace(workspace) < *limit)
            && row
                .schedule_id
                .is_none_or(|schedule| !self.schedules.contains(&schedule))
    }
}

/// Whose turn it is: the highest priority, then the workspace with the fewest at work, then age. Two
/// runs of a schedule are never at work together.
fn in_order(mut queued: Vec<run::Model>, at_work: &AtWork) -> Vec<run::Model> {
    queued.retain(|row| at_work.may_begin(row));
    queued.sort_by_key(|row| {
        let busy = at_work.of_workspace(row.workspace_id);
        (-row.priority, busy, row.create_time, row.id)
    });
    queued
}

/// The first of these runs that nobody else is about to take.
async fn take_first(
    transaction: &DatabaseTransaction,
    queued: Vec<run::Model>,
) -> Result<Option<run::Model>, DbErr> {
    for row in queued {
        if let Some(schedule) = row.schedule_id
            && !may_begin_one_of(transaction, schedule).await?
        {
            continue;
        }
        let taken = run::Entity::find_by_id(row.id)
            .filter(run::Column::State.eq(word(RunState::Queued)))
            .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
            .one(transaction)
            .await?;
        if taken.is_some() {
            return Ok(taken);
        }
    }
    Ok(None)
}

/// How many runs may be at work in the workspaces of these runs that have a limit. Until the
/// transaction ends no other claims there: the workspaces are locked, always in the same order.
async fn limits(
    transaction: &DatabaseTransaction,
    queued: &[run::Model],
) -> Result<HashMap<Uuid, usize>, DbErr> {
    let named: HashSet<Uuid> = queued.iter().map(|row| row.workspace_id).collect();
    let limited: Vec<(Uuid, i32)> = locked(workspace::Entity::find())
        .select_only()
        .column(workspace::Column::Id)
        .column(workspace::Column::MaxConcurrentRuns)
        .filter(workspace::Column::Id.is_in(named))
        .filter(workspace::Column::MaxConcurrentRuns.gt(0))
        .order_by_asc(workspace::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    let limited = limited.into_iter();
    Ok(limited
        .map(|(workspace, limit)| (workspace, usize::try_from(limit).unwrap_or_default()))
        .collect())
}

/// Whether no run of a schedule is at work; then none is before the transaction ends.
async fn may_begin_one_of(
    transaction: &DatabaseTransaction,
    schedule: Uuid,
) -> Result<bool, DbErr> {
    let free = schedule::Entity::find_by_id(schedule)
        .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
        .one(transaction)
        .await?;
    if free.is_none() {
        let row = schedule::Entity::find_by_id(schedule)
            .one(transaction)
            .await?;
        // One that is gone makes nobody wait.
        return Ok(row.is_none());
    }
    let busy = at_work()
        .filter(run::Column::ScheduleId.eq(schedule))
        .count(transaction)
        .await?;
    Ok(busy == 0)
}

/// Runs that runners have.
fn at_work() -> Select<run::Entity> {
    let states = [RunState::Claimed, RunState::Running].map(word);
    run::Entity::find().filter(run::Column::State.is_in(states))
}

/// The run of a lease, if the lease holds.
async fn held(
    transaction: &DatabaseTransaction,
    lease: &HeldLease,
    now: Millis,
) -> Result<run::Model, Error> {
    let found = lock(transaction, lease.run).await?;
    check(found, lease, now)
}

fn check(found: Option<run::Model>, lease: &HeldLease, now: Millis) -> Result<run::Model, Error> {
    let visible = |row: &run::Model| {
        lease
            .workspace
            .is_none_or(|only| only.0 == row.workspace_id)
    };
    let row = found.filter(visible).ok_or(Error::NotFound("run"))?;
    let holds = row.attempt == lease.attempt
        && row.runner_token_id == Some(lease.token.0)
        && row.lease_digest.as_deref() == Some(&lease.digest[..])
        && row.lease_expire_time.is_some_and(|time| time > now);
    if holds {
        return Ok(row);
    }
    Err(Error::Precondition {
        reason: "STALE_LEASE",
        message: "this lease is lost; stop working on the run".to_owned(),
    })
}

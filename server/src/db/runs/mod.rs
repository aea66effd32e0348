//! Run rows, and the transactions in which a run and its log change together. Whatever a runner
//! writes goes through [`held`], which knows whether its lease still holds.

use std::collections::BTreeMap;

use membrane_agent::cost;
use membrane_entity::run;
use membrane_proto::v1::{Event, RunState, RunStateChanged, Usage, event_payload::Kind};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::{
    Database,
    events::{self, NewEvent},
    locked, members, older_than, requests,
    requests::RequestKey,
    schedules,
};
use crate::{
    clock::Millis,
    error::Error,
    id::{RunId, RunnerTokenId, ScheduleId, WorkspaceId},
    page::Page,
    runs::{ApplyState, is_final, parse_state, usage_of, word},
};

/// Most unfinished runs of a workspace.
const MAX_UNFINISHED: u64 = 1_000;
/// Most of them that agents have asked for: room is left for people's.
const MAX_UNFINISHED_OF_AGENTS: u64 = 50;
/// Longest pause before another attempt.
const MAX_PAUSE: Millis = 60_000;

/// A run that has changed, and what to tell of it after the commit.
#[derive(Debug)]
pub struct Changed {
    /// It, as it is now.
    pub run: run::Model,
    /// What was stored.
    pub events: Vec<Event>,
}

/// Who wants to claim.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// The token it came with.
    pub token: RunnerTokenId,
    /// The only workspace whose runs it may claim.
    pub workspace: Option<WorkspaceId>,
    /// What it calls itself.
    pub name: String,
    /// What it has.
    pub labels: BTreeMap<String, String>,
}

/// A lease as a runner shows it.
#[derive(Debug, Clone)]
pub struct HeldLease {
    /// The run.
    pub run: RunId,
    /// The attempt.
    pub attempt: i32,
    /// Of its secret.
    pub digest: [u8; 32],
    /// The token that the runner came with.
    pub token: RunnerTokenId,
    /// The only workspace that this token is for.
    pub workspace: Option<WorkspaceId>,
}

/// How an attempt ends.
#[derive(Debug, Clone)]
pub struct Ending {
    /// What the run becomes: final, or queued for another attempt.
    pub state: RunState,
    /// A stable word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

mod lease;

impl Database {
    /// Inserts a queued run, unless an earlier call with the same key did.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the key was used for something else; [`Error::Exhausted`] with
    /// TOO_MANY_RUNS.
    pub async fn insert_run(
        &self,
        row: run::Model,
        key: RequestKey,
        now: Millis,
    ) -> Result<Changed, Error> {
        let transaction = self.begin().await?;
        if let Some(earlier) = requests::earlier(&transaction, &key).await? {
            let found = run::Entity::find_by_id(earlier).one(&transaction).await?;
            let run = found.filter(|found| found.workspace_id == row.workspace_id);
            return Ok(Changed {
                run: run.ok_or(Error::NotFound("run"))?,
                events: Vec::new(),
            });
        }
        members::lock_workspace(&transaction, WorkspaceId(row.workspace_id)).await?;
        check_room(&transaction, &row).await?;
        run::Entity::insert(row.clone().into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        requests::remember(&transaction, &key, row.id, now).await?;
        let events = events::insert(&transaction, vec![told(&row)], now).await?;
        transaction.commit().await?;
        Ok(Changed { run: row, events })
    }

    /// A run.
    ///
    /// # Errors
    /// The database's own.
    pub async fn run(&self, id: RunId) -> Result<Option<run::Model>, DbErr> {
        run::Entity::find_by_id(id.0).one(&self.reader).await
    }

    /// The workspace of a run.
    ///
    /// # Errors
    /// The database's own.
    pub async fn workspace_of_run(&self, id: RunId) -> Result<Option<WorkspaceId>, DbErr> {
        let row = self.run(id).await?;
        Ok(row.map(|row| WorkspaceId(row.workspace_id)))
    }

    /// One page of a workspace's runs, or of those that a schedule has made, the latest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list_runs(
        &self,
        workspace: WorkspaceId,
        states: &[RunState],
        schedule: Option<ScheduleId>,
        page: &Page,
    ) -> Result<Vec<run::Model>, DbErr> {
        let mut query = run::Entity::find().filter(run::Column::WorkspaceId.eq(workspace.0));
        if let Some(schedule) = schedule {
            query = query.filter(run::Column::ScheduleId.eq(schedule.0));
        }
        if !states.is_empty() {
            query = query.filter(run::Column::State.is_in(states.iter().map(|state| word(*state))));
        }
        if let Some(place) = page.after {
            query = query.filter(older_than(run::Column::CreateTime, run::Column::Id, place));
        }
        query
            .order_by_desc(run::Column::CreateTime)
            .order_by_desc(run::Column::Id)
            .limit(page.fetch())
            .all(&self.reader)
            .await
    }

    /// Cancels a run, or asks its runner to.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn cancel_run(&self, id: RunId, now: Millis) -> Result<Changed, Error> {
        let transaction = self.begin().await?;
        let found = lock_to_end(&transaction, id).await?;
        let row = found.ok_or(Error::NotFound("run"))?;
        let changed = cancel(&transaction, row.clone(), now).await?;
        transaction.commit().await?;
        Ok(changed.unwrap_or(Changed {
            run: row,
            events: Vec::new(),
        }))
    }

    /// Notes whether a run's result is applied, and what was in the way.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn set_apply_state(
        &self,
        id: RunId,
        state: &str,
        conflicts: String,
        now: Millis,
    ) -> Result<run::Model, Error> {
        let transaction = self.begin().await?;
        let found = lock(&transaction, id).await?;
        let mut row = found.ok_or(Error::NotFound("run"))?;
        row.apply_state = state.to_owned();
        row.conflicts = conflicts;
        let changed = store(&transaction, row, false, now).await?;
        transaction.commit().await?;
        Ok(changed.run)
    }

    /// Adds what a request of a run has used, whoever holds its lease by now.
    ///
    /// # Errors
    /// The database's own.
    pub async fn add_run_usage(&self, id: RunId, usage: &Usage) -> Result<(), Error> {
        let transaction = self.begin().await?;
        let Some(row) = lock(&transaction, id).await? else {
            return Ok(());
        };
        let mut total = usage_of(&row);
        cost::add(&mut total, usage);
        let row = run::Model {
            input_tokens: total.input_tokens,
            output_tokens: total.output_tokens,
            cache_creation_input_tokens: total.cache_creation_input_tokens,
            cache_read_input_tokens: total.cache_read_input_tokens,
            cost_micro_usd: total.cost_micro_usd,
            requests: total.requests,
            ..row
        };
        row.into_active_model()
            .reset_all()
            .update(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// The manifests that a workspace's unfinished runs begin with.
    ///
    /// # Errors
    /// The database's own.
    pub(super) async fn run_manifests(&self, workspace: WorkspaceId) -> Result<Vec<String>, DbErr> {
        run::Entity::find()
            .select_only()
            .column(run::Column::BaseManifest)
            .filter(run::Column::WorkspaceId.eq(workspace.0))
            .filter(run::Column::EndTime.is_null())
            .into_tuple()
            .all(&self.reader)
            .await
    }
}

/// A run that is about to change.
async fn lock(transaction: &DatabaseTransaction, id: RunId) -> Result<Option<run::Model>, DbErr> {
    locked(run::Entity::find_by_id(id.0)).one(transaction).await
}

/// A run that may be about to end, and before it the schedule that has made it, which notes how.
async fn lock_to_end(
    transaction: &DatabaseTransaction,
    id: RunId,
) -> Result<Option<run::Model>, DbErr> {
    let found = run::Entity::find_by_id(id.0).one(transaction).await?;
    let Some(schedule) = found.and_then(|row| row.schedule_id) else {
        return lock(transaction, id).await;
    };
    schedules::lock(transaction, schedule).await?;
    lock(transaction, id).await
}

/// Refuses another run in a workspace that has too many, or too many of agents if it is one of them.
///
/// # Errors
/// [`Error::Exhausted`] with TOO_MANY_RUNS.
pub(super) async fn check_room(
    transaction: &DatabaseTransaction,
    new: &run::Model,
) -> Result<(), Error> {
    let unfinished = run::Entity::find()
        .filter(run::Column::WorkspaceId.eq(new.workspace_id))
        .filter(run::Column::EndTime.is_null());
    let full = |message| Error::Exhausted {
        reason: "TOO_MANY_RUNS",
        message,
    };
    if unfinished.clone().count(transaction).await? >= MAX_UNFINISHED {
        let message = format!("a workspace can have at most {MAX_UNFINISHED} unfinished runs");
        return Err(full(message));
    }
    if !new.by_agent {
        return Ok(());
    }
    let of_agents = unfinished.filter(run::Column::ByAgent.eq(true));
    if of_agents.count(transaction).await? >= MAX_UNFINISHED_OF_AGENTS {
        let message = format!(
            "agents can have at most {MAX_UNFINISHED_OF_AGENTS} unfinished runs in a workspace"
        );
        return Err(full(message));
    }
    Ok(())
}

/// Cancels a run, or asks its runner to; does nothing to one that is cancelled or over.
pub(super) async fn cancel(
    transaction: &DatabaseTransaction,
    mut row: run::Model,
    now: Millis,
) -> Result<Option<Changed>, Error> {
    let state = parse_state(&row.state);
    if is_final(state) || row.cancel_requested {
        return Ok(None);
    }
    row.cancel_requested = true;
    let changed = match state {
        RunState::Queued => end(transaction, row, cancelled(), now).await?,
        _ => store(transaction, row, false, now).await?,
    };
    Ok(Some(changed))
}

/// Ends an attempt: the run is final, or queued once more after a pause if it may be.
async fn end(
    transaction: &DatabaseTransaction,
    mut row: run::Model,
    ending: Ending,
    now: Millis,
) -> Result<Changed, Error> {
    let is_over = ending.state == RunState::Queued && row.attempt >= row.max_attempts;
    let state = if is_over {
        RunState::Failed
    } else {
        ending.state
    };
    row.state = word(state).to_owned();
    row.reason = if is_over {
        "ATTEMPTS_EXHAUSTED"
    } else {
        ending.reason
    }
    .to_owned();
    row.message = match is_over {
        true => format!("{} It was tried {} times.", ending.message, row.attempt),
        false => ending.message,
    };
    row.lease_digest = None;
    row.lease_expire_time = None;
    row.deadline = None;
    if is_final(state) {
        row.end_time = Some(now);
        if state == RunState::Succeeded && row.result_snapshot_id.is_some() {
            // Until it is known better, also if this server ends right here.
            row.apply_state = ApplyState::Pending.word().to_owned();
        }
    } else {
        let exponent = u32::try_from(row.attempt).unwrap_or_default().min(10);
        row.not_before = now + (1_000 << exponent).min(MAX_PAUSE);
        // What another attempt makes is another result.
        row.result_snapshot_id = None;
    }
    schedules::note_end(transaction, &row).await?;
    store(transaction, row, true, now).await
}

/// Stores a changed row, with an event of its state if that is to be told.
async fn store(
    transaction: &DatabaseTransaction,
    row: run::Model,
    tell: bool,
    now: Millis,
) -> Result<Changed, Error> {
    let active = row.clone().into_active_model().reset_all();
    active.update(transaction).await?;
    let told = if tell { vec![told(&row)] } else { Vec::new() };
    let events = events::insert(transaction, told, now).await?;
    Ok(Changed { run: row, events })
}

pub(super) fn told(row: &run::Model) -> NewEvent {
    let state = parse_state(&row.state);
    let is_held = row.lease_digest.is_some();
    let changed = RunStateChanged {
        state: state.into(),
        attempt: row.attempt,
        runner_name: if is_held {
            row.runner_name.clone()
        } else {
            String::new()
        },
        reason: row.reason.clone(),
        message: row.message.clone(),
    };
    NewEvent::of_run(RunId(row.id), Kind::RunStateChanged(changed))
}

fn cancelled() -> Ending {
    Ending {
        state: RunState::Cancelled,
        reason: "CANCELLED",
        message: "It was cancelled.".to_owned(),
    }
}

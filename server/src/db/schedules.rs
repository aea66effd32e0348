//! Rows of schedules. A slot, the runs that it makes and the schedule's next time are one transaction:
//! nothing can be killed in between, and of two servers one is first.

use membrane_entity::{run, schedule};
use membrane_proto::v1::{OverlapPolicy, RunState};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::Expr,
};

use super::{
    Database, events, locked, members, requests,
    requests::RequestKey,
    runs::{Changed, cancel, check_room, told},
};
use crate::{
    clock::Millis,
    error::Error,
    id::{ScheduleId, WorkspaceId},
    runs::word,
};

/// Most schedules of a workspace.
const MAX_SCHEDULES: u64 = 100;
/// Most of them that agents have made: room is left for people's.
const MAX_SCHEDULES_OF_AGENTS: u64 = 20;
/// Schedules that are looked at in one round.
const ROUND: u64 = 100;

/// What a round makes of a schedule that is due.
#[derive(Debug)]
pub struct Firing {
    /// The schedule as it was found.
    pub schedule: schedule::Model,
    /// The runs of its slots, in their order.
    pub runs: Vec<run::Model>,
    /// What they do while a run is not over.
    pub overlap: OverlapPolicy,
    /// The latest slot.
    pub slot: Option<Millis>,
    /// When it is due again.
    pub next: Option<Millis>,
    /// Why no run could be made.
    pub error: Option<String>,
}

impl Database {
    /// Inserts a schedule, unless an earlier call with the same key did.
    ///
    /// # Errors
    /// [`Error::Exhausted`] with TOO_MANY_SCHEDULES.
    pub async fn insert_schedule(
        &self,
        row: schedule::Model,
        key: RequestKey,
    ) -> Result<schedule::Model, Error> {
        let transaction = self.begin().await?;
        if let Some(earlier) = requests::earlier(&transaction, &key).await? {
            let found = schedule::Entity::find_by_id(earlier)
                .filter(schedule::Column::WorkspaceId.eq(row.workspace_id))
                .one(&transaction)
                .await?;
            return found.ok_or(Error::NotFound("schedule"));
        }
        members::lock_workspace(&transaction, WorkspaceId(row.workspace_id)).await?;
        check_room_of(&transaction, &row).await?;
        schedule::Entity::insert(row.clone().into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        requests::remember(&transaction, &key, row.id, row.create_time).await?;
        transaction.commit().await?;
        Ok(row)
    }

    /// The workspace of a schedule.
    ///
    /// # Errors
    /// The database's own.
    pub async fn workspace_of_schedule(
        &self,
        id: ScheduleId,
    ) -> Result<Option<WorkspaceId>, DbErr> {
        let row = schedule::Entity::find_by_id(id.0).one(&self.reader).await?;
        Ok(row.map(|row| WorkspaceId(row.workspace_id)))
    }

    /// A schedule of a workspace.
    ///
    /// # Errors
    /// The database's own.
    pub async fn schedule(
        &self,
        workspace: WorkspaceId,
        id: ScheduleId,
    ) -> Result<Option<schedule::Model>, DbErr> {
        schedule::Entity::find_by_id(id.0)
            .filter(schedule::Column::WorkspaceId.eq(workspace.0))
            .one(&self.reader)
            .await
    }

    /// A workspace's schedules, the latest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn schedules(&self, workspace: WorkspaceId) -> Result<Vec<schedule::Model>, DbErr> {
        schedule::Entity::find()
            .filter(schedule::Column::WorkspaceId.eq(workspace.0))
            .order_by_desc(schedule::Column::CreateTime)
            .order_by_desc(schedule::Column::Id)
            .limit(MAX_SCHEDULES)
            .all(&self.reader)
            .await
    }

    /// Changes a schedule. What the server notes meanwhile stays.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::StaleEtag`] if it is not of the expected version; what `change`
    /// answers.
    pub async fn update_schedule(
        &self,
        workspace: WorkspaceId,
        id: ScheduleId,
        expected: Option<i64>,
        change: impl FnOnce(&mut schedule::Model) -> Result<(), Error>,
    ) -> Result<schedule::Model, Error> {
        let transaction = self.begin().await?;
        let found = locked(schedule::Entity::find_by_id(id.0))
            .filter(schedule::Column::WorkspaceId.eq(workspace.0))
            .one(&transaction)
            .await?;
        let mut row = found.ok_or(Error::NotFound("schedule"))?;
        if expected.is_some_and(|expected| expected != row.version) {
            return Err(Error::StaleEtag);
        }
        change(&mut row)?;
        row.version += 1;
        store(&transaction, &row).await?;
        transaction.commit().await?;
        Ok(row)
    }

    /// Deletes a schedule; its runs stay. Answers whether there was one.
    ///
    /// # Errors
    /// The database's own.
    pub async fn delete_schedule(
        &self,
        workspace: WorkspaceId,
        id: ScheduleId,
    ) -> Result<bool, DbErr> {
        let transaction = self.begin().await?;
        let deleted = schedule::Entity::delete_by_id(id.0)
            .filter(schedule::Column::WorkspaceId.eq(workspace.0))
            .exec(&transaction)
            .await?;
        if deleted.rows_affected > 0 {
            run::Entity::update_many()
                .col_expr(run::Column::ScheduleId, Expr::value(None::<uuid::Uuid>))
                .filter(run::Column::ScheduleId.eq(id.0))
                .exec(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(deleted.rows_affected > 0)
    }

    /// Schedules that are due.
    ///
    /// # Errors
    /// The database's own.
    pub async fn due_schedules(&self, now: Millis) -> Result<Vec<schedule::Model>, DbErr> {
        schedule::Entity::find()
            .filter(schedule::Column::Enabled.eq(true))
            .filter(schedule::Column::NextTime.lte(now))
            .order_by_asc(schedule::Column::NextTime)
            .limit(ROUND)
            .all(&self.reader)
            .await
    }

    /// Whether a run of a schedule has not ended.
    ///
    /// # Errors
    /// The database's own.
    pub async fn has_unfinished_run(&self, id: ScheduleId) -> Result<bool, DbErr> {
        let unfinished = run::Entity::find()
            .filter(run::Column::ScheduleId.eq(id.0))
            .filter(run::Column::EndTime.is_null())
            .count(&self.reader)
            .await?;
        Ok(unfinished > 0)
    }

    /// Inserts the runs of a schedule's slots and moves the schedule on, unless somebody did so or
    /// changed it since it was found. Answers what has changed.
    ///
    /// # Errors
    /// The database's own.
    pub async fn fire_schedule(&self, firing: Firing, now: Millis) -> Result<Vec<Changed>, Error> {
        let transaction = self.begin().await?;
        let workspace = WorkspaceId(firing.schedule.workspace_id);
        members::lock_workspace(&transaction, workspace).await?;
        let found = locked(schedule::Entity::find_by_id(firing.schedule.id))
            .one(&transaction)
            .await?;
        let is_same = |row: &schedule::Model| {
            row.enabled
                && row.next_time == firing.schedule.next_time
                && row.version == firing.schedule.version
        };
        let Some(mut row) = found.filter(is_same) else {
            return Ok(Vec::new());
        };
        row.next_time = firing.next;
        row.last_slot_time = firing.slot.or(row.last_slot_time);
        let mut changed = Vec::new();
        let outcome = match firing.error {
            Some(why) => Err(why),
            None => {
                let inserted = insert(&transaction, firing.runs, firing.overlap, now, &mut changed);
                inserted.await?
            }
        };
        match outcome {
            Ok(()) => row.last_error = String::new(),
            Err(why) => {
                count_failure(&mut row);
                row.last_error = why;
            }
        }
        store(&transaction, &row).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Disables a schedule by itself.
    ///
    /// # Errors
    /// The database's own.
    pub async fn disable_schedule(&self, id: ScheduleId, why: &str) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        let found = locked(schedule::Entity::find_by_id(id.0));
        if let Some(mut row) = found.one(&transaction).await? {
            disable(&mut row, why.to_owned());
            store(&transaction, &row).await?;
        }
        transaction.commit().await
    }
}

/// Inserts runs of slots. The inner result says why a slot made none.
async fn insert(
    transaction: &DatabaseTransaction,
    runs: Vec<run::Model>,
    overlap: OverlapPolicy,
    now: Millis,
    changed: &mut Vec<Changed>,
) -> Result<Result<(), String>, Error> {
    for row in runs {
        let unfinished = locked(run::Entity::find())
            .filter(run::Column::ScheduleId.eq(row.schedule_id))
            .filter(run::Column::EndTime.is_null())
            .all(transaction)
            .await?;
        match overlap {
            OverlapPolicy::Queue => {}
            OverlapPolicy::CancelPrevious => {
                for earlier in unfinished {
                    changed.extend(cancel(transaction, earlier, now).await?);
                }
            }
            OverlapPolicy::Skip | OverlapPolicy::Unspecified if unfinished.is_empty() => {}
            OverlapPolicy::Skip | OverlapPolicy::Unspecified => continue,
        }
        if let Err(error) = check_room(transaction, &row).await {
            return Ok(Err(error.public_message()));
        }
        run::Entity::insert(row.clone().into_active_model())
            .exec_without_returning(transaction)
            .await?;
        let events = events::insert(transaction, vec![told(&row)], now).await?;
        changed.push(Changed { run: row, events });
    }
    Ok(Ok(()))
}

/// Refuses another schedule in a workspace that has too many, or too many of agents if it is one of
/// them.
///
/// # Errors
/// [`Error::Exhausted`] with TOO_MANY_SCHEDULES.
async fn check_room_of(
    transaction: &DatabaseTransaction,
    new: &schedule::Model,
) -> Result<(), Error> {
    let all = schedule::Entity::find().filter(schedule::Column::WorkspaceId.eq(new.workspace_id));
    let full = |message| Error::Exhausted {
        reason: "TOO_MANY_SCHEDULES",
        message,
    };
    if all.clone().count(transaction).await? >= MAX_SCHEDULES {
        let message = format!("a workspace can have at most {MAX_SCHEDULES} schedules");
        return Err(full(message));
    }
    if !new.by_agent {
        return Ok(());
    }
    let of_agents = all.filter(schedule::Column::ByAgent.eq(true));
    if of_agents.count(transaction).await? >= MAX_SCHEDULES_OF_AGENTS {
        let message =
            format!("agents can have at most {MAX_SCHEDULES_OF_AGENTS} schedules in a workspace");
        return Err(full(message));
    }
    Ok(())
}

/// Makes others wait who fire a schedule, change it, or claim and end its runs.
pub(super) async fn lock(transaction: &DatabaseTransaction, id: uuid::Uuid) -> Result<(), DbErr> {
    let row = locked(schedule::Entity::find_by_id(id));
    row.one(transaction).await.map(drop)
}

/// Notes how a run of a schedule has ended, which the transaction has locked before the run.
pub(super) async fn note_end(
    transaction: &DatabaseTransaction,
    run: &run::Model,
) -> Result<(), DbErr> {
    let Some(id) = run.schedule_id else {
        return Ok(());
    };
    let found = schedule::Entity::find_by_id(id);
    let Some(mut row) = found.one(transaction).await? else {
        return Ok(());
    };
    if run.state == word(RunState::Succeeded) {
        row.failures = 0;
    } else if run.state == word(RunState::Failed) {
        count_failure(&mut row);
    } else {
        return Ok(());
    }
    store(transaction, &row).await
}

fn count_failure(row: &mut schedule::Model) {
    row.failures = row.failures.saturating_add(1);
    if row.max_failures > 0 && row.failures >= row.max_failures {
        let why = format!("It failed {} times in a row.", row.failures);
        disable(row, why);
    }
}

fn disable(row: &mut schedule::Model, why: String) {
    row.enabled = false;
    row.next_time = None;
    row.disabled_reason = why;
    row.version += 1;
}

async fn store(transaction: &DatabaseTransaction, row: &schedule::Model) -> Result<(), DbErr> {
    let active = row.clone().into_active_model().reset_all();
    active.update(transaction).await.map(drop)
}

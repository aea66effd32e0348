//! Schedules: cron rules that queue runs. What is due is looked for every second; the database decides
//! which server was first, and a slot makes one run at most.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use membrane_entity::{run, schedule};
use membrane_proto::v1::{self as proto, OverlapPolicy};
use tokio_util::sync::CancellationToken;

use crate::{
    authz::Role,
    clock::{Clock, Millis},
    db::{Database, Firing, RequestKey},
    error::Error,
    grpc::{decode, encode::stored_settings},
    id::{ScheduleId, UserId, WorkspaceId},
    runs::{MANUAL, NewRun, Origin, Runs},
    settings::Settings,
};

mod plan;
mod rule;

pub use plan::{Policies, spec_of, stored_spec};
pub use rule::{FireTime, Rule};

/// How often what is due is looked for.
const PERIOD: Duration = Duration::from_secs(1);
/// How many are fired at the same time.
const AT_ONCE: usize = 8;

/// All schedules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schedules {
    database: Database,
    runs: Runs,
    clock: Clock,
}

/// A schedule to make.
#[derive(Debug)]
pub struct NewSchedule {
    /// Where.
    pub workspace: WorkspaceId,
    /// Whose runs it makes.
    pub user: UserId,
    /// What to call it.
    pub title: String,
    /// What it is told.
    pub given: proto::Schedule,
    /// Whether an agent makes it.
    pub by_agent: bool,
    /// What makes a repeated call the same call.
    pub key: RequestKey,
}

impl Schedules {
    /// Schedules of this database, which make runs here.
    #[must_use]
    pub fn new(database: Database, runs: Runs, clock: Clock) -> Self {
        Self {
            database,
            runs,
            clock,
        }
    }

    /// Makes a schedule.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Exhausted`] with TOO_MANY_SCHEDULES.
    pub async fn create(&self, new: NewSchedule) -> Result<schedule::Model, Error> {
        let (spec, apply_mode) = spec_of(&new.given)?;
        let policies = Policies::decode(&new.given)?;
        let now = self.clock.now();
        let mut row = schedule::Model {
            id: ScheduleId::new().0,
            workspace_id: new.workspace.0,
            user_id: Some(new.user.0),
            title: new.title,
            cron: new.given.cron.trim().to_owned(),
            time_zone: new.given.time_zone.trim().to_owned(),
            spec: spec.to_template()?,
            apply_mode: apply_mode.to_owned(),
            enabled: new.given.enabled,
            disabled_reason: String::new(),
            missed_policy: String::new(),
            missed_limit: 0,
            overlap_policy: String::new(),
            max_failures: 0,
            failures: 0,
            last_error: String::new(),
            next_time: None,
            last_slot_time: None,
            version: 1,
            create_time: now,
            by_agent: new.by_agent,
        };
        policies.store(&mut row);
        aim(&mut row, now)?;
        self.database.insert_schedule(row, new.key).await
    }

    /// A schedule of a workspace.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(
        &self,
        workspace: WorkspaceId,
        id: ScheduleId,
    ) -> Result<schedule::Model, Error> {
        let row = self.database.schedule(workspace, id).await?;
        row.ok_or(Error::NotFound("schedule"))
    }

    /// Changes the fields of a schedule that are named. One that an agent has changed counts as the
    /// agent's from then on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::StaleEtag`].
    pub async fn update(
        &self,
        workspace: WorkspaceId,
        id: ScheduleId,
        etag: Option<i64>,
        given: &proto::Schedule,
        paths: &[String],
        by_agent: bool,
    ) -> Result<schedule::Model, Error> {
        let now = self.clock.now();
        let change = |row: &mut schedule::Model| {
            for path in paths {
                change_field(row, given, path)?;
            }
            let moves = ["cron", "time_zone", "enabled"];
            if paths.iter().any(|path| moves.contains(&path.as_str())) {
                aim(row, now)?;
            }
            row.by_agent |= by_agent;
            Ok(())
        };
        let changed = self.database.update_schedule(workspace, id, etag, change);
        changed.await
    }

    /// Queues a run of a schedule now.
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of [`Runs::create`].
    pub async fn run_now(
        &self,
        workspace: WorkspaceId,
        id: ScheduleId,
        by_agent: bool,
        key: RequestKey,
    ) -> Result<run::Model, Error> {
        let row = self.get(workspace, id).await?;
        let settings = self.settings(workspace).await?;
        let user = key.user_id;
        let mut new = new_run(&row, user, None, key)?;
        new.by_agent |= by_agent;
        self.runs.create(new, settings).await
    }

    /// Fires what is due, now and again and again, until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        let keeping = async {
            loop {
                if let Err(error) = self.fire_due().await {
                    error.log();
                }
                tokio::time::sleep(PERIOD).await;
            }
        };
        stop.run_until_cancelled(keeping).await;
    }

    /// Fires what is due by now.
    ///
    /// # Errors
    /// The database's own.
    pub async fn fire_due(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let due = stream::iter(self.database.due_schedules(now).await?);
        // One that takes long, or can't be fired, keeps no other from it.
        due.for_each_concurrent(AT_ONCE, async |row| {
            if let Err(error) = self.fire(row, now).await {
                error.log();
            }
        })
        .await;
        Ok(())
    }

    async fn fire(&self, row: schedule::Model, now: Millis) -> Result<(), Error> {
        let id = ScheduleId(row.id);
        let Ok(rule) = Rule::parse(&row.cron, &row.time_zone) else {
            let why = "This server does not know its rule or its time zone any more.";
            return Ok(self.database.disable_schedule(id, why).await?);
        };
        let Some(user) = self.worker(&row).await? else {
            let why = "Whoever made it may not queue runs here any more.";
            return Ok(self.database.disable_schedule(id, why).await?);
        };
        let policies = Policies::of(&row);
        let slots = policies.slots(&rule, row.next_time.unwrap_or(now), now);
        let skips =
            policies.overlap == OverlapPolicy::Skip && self.database.has_unfinished_run(id).await?;
        // No picture of the files is taken for a run that is not made.
        let making = if skips { &[][..] } else { &slots };
        let prepared = self.prepare(&row, user, making).await;
        let (runs, error) = match prepared {
            Ok(runs) => (runs, None),
            // No fault of the schedule: it stays due.
            Err(error @ Error::Unavailable(_)) => return Err(error),
            Err(error) => {
                error.log();
                (Vec::new(), Some(error.public_message()))
            }
        };
        let firing = Firing {
            slot: slots.last().copied(),
            next: rule.next(now),
            schedule: row,
            runs,
            overlap: policies.overlap,
            error,
        };
        for changed in self.database.fire_schedule(firing, now).await? {
            self.runs.publish(changed);
        }
        Ok(())
    }

    async fn prepare(
        &self,
        row: &schedule::Model,
        user: UserId,
        slots: &[Millis],
    ) -> Result<Vec<run::Model>, Error> {
        let settings = self.settings(WorkspaceId(row.workspace_id)).await?;
        let mut runs = Vec::new();
        for slot in slots {
            let key = RequestKey {
                user_id: user,
                request_id: None,
                method: "RunSchedule",
            };
            let new = new_run(row, user, Some(*slot), key)?;
            runs.push(self.runs.prepare(new, &settings).await?);
        }
        Ok(runs)
    }

    /// Whose runs these are, if they may still queue some.
    async fn worker(&self, row: &schedule::Model) -> Result<Option<UserId>, Error> {
        let Some(user) = row.user_id.map(UserId) else {
            return Ok(None);
        };
        let database = &self.database;
        let is_enabled = database
            .user(user)
            .await?
            .is_some_and(|user| !user.disabled);
        let role = database.role(user, WorkspaceId(row.workspace_id)).await?;
        let works = is_enabled && role.is_some_and(|role| role >= Role::Editor);
        Ok(works.then_some(user))
    }

    async fn settings(&self, workspace: WorkspaceId) -> Result<Settings, Error> {
        let row = self.database.workspace_row(workspace).await?;
        stored_settings(&row.ok_or(Error::NotFound("workspace"))?.settings)
    }
}

/// A run of a schedule.
fn new_run(
    row: &schedule::Model,
    user: UserId,
    slot: Option<Millis>,
    key: RequestKey,
) -> Result<NewRun, Error> {
    Ok(NewRun {
        retry_of: None,
        by_agent: row.by_agent,
        workspace: WorkspaceId(row.workspace_id),
        user,
        title: row.title.clone(),
        spec: stored_spec(row)?,
        base: None,
        applies: row.apply_mode != MANUAL,
        origin: Some(Origin {
            schedule: ScheduleId(row.id),
            slot,
        }),
        key,
    })
}

/// Says when a schedule fires next, from now on.
///
/// # Errors
/// [`Error::Invalid`] for a rule that never does.
fn aim(row: &mut schedule::Model, now: Millis) -> Result<(), Error> {
    let next = Rule::parse(&row.cron, &row.time_zone)?.next(now);
    if next.is_none() {
        return Err(Error::invalid("schedule.cron", "never fires"));
    }
    row.next_time = next.filter(|_| row.enabled);
    if row.enabled {
        row.disabled_reason = String::new();
        row.failures = 0;
    }
    Ok(())
}

fn change_field(
    row: &mut schedule::Model,
    given: &proto::Schedule,
    path: &str,
) -> Result<(), Error> {
    let mut policies = Policies::of(row);
    let told = Policies::decode(given)?;
    match path {
        "title" => row.title = decode::name("schedule.title", &given.title, 100)?,
        "cron" => row.cron = given.cron.trim().to_owned(),
        "time_zone" => row.time_zone = given.time_zone.trim().to_owned(),
        "enabled" => row.enabled = given.enabled,
        "spec" => {
            let (spec, apply_mode) = spec_of(given)?;
            row.spec = spec.to_template()?;
            row.apply_mode = apply_mode.to_owned();
        }
        "missed_policy" => policies.missed = told.missed,
        "missed_limit" => policies.missed_limit = told.missed_limit,
        "overlap_policy" => policies.overlap = told.overlap,
        "max_failures" => policies.max_failures = told.max_failures,
        _ => {
            let message = format!("{path:?} can't be changed");
            return Err(Error::invalid("update_mask", message));
        }
    }
    policies.store(row);
    Ok(())
}

//! Schedules: when they fire, what becomes of what was missed, and who stops them.

use std::time::Duration;

use membrane_proto::v1::{self as proto, MissedPolicy, OverlapPolicy, RunOutcome, RunState};
use membrane_server::{
    authz::Role,
    clock::{Clock, Millis},
    db::{HeldLease, RequestKey},
    id::{RunnerTokenId, ScheduleId, WorkspaceId},
    runs::{NewRun, Origin, Runs, Spec},
    schedules::Schedules,
    settings::Settings,
};
use tonic::{Code, Status};

use crate::{
    fixture::{TestServer, reason},
    runs::{
        Desk,
        leases::{claim_at, queue},
        spec,
    },
};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

/// A schedule that fires each hour, and a clock that stands a minute before the next whole one.
struct Plan {
    desk: Desk,
    clock: Clock,
    runs: Runs,
    schedules: Schedules,
}

impl Plan {
    async fn new(server: &TestServer) -> Self {
        let now = server.app.clock.now();
        // The server's own loop looks at another clock: nothing is due for it until then.
        let clock = Clock::manual(now / HOUR * HOUR + 2 * HOUR - MINUTE);
        Self {
            desk: Desk::new(server).await,
            runs: queue(server, &clock),
            schedules: schedules(server, &clock),
            clock,
        }
    }

    async fn create(&self, change: impl FnOnce(&mut proto::Schedule)) -> proto::Schedule {
        let mut schedule = hourly();
        change(&mut schedule);
        let made = self.try_create(schedule).await.expect("a schedule");
        // As if it had been created at the time of the clock.
        let paths = ["enabled".to_owned()];
        let (workspace, id) = (self.workspace(), self.id(&made));
        let aimed = self
            .schedules
            .update(workspace, id, None, &made, &paths, false);
        aimed.await.expect("aimed");
        self.get(&made).await
    }

    async fn try_create(&self, schedule: proto::Schedule) -> Result<proto::Schedule, Status> {
        let request = proto::CreateScheduleRequest {
            workspace_id: self.desk.workspace.clone(),
            schedule: Some(schedule),
            request_id: String::new(),
        };
        let answer = self.desk.user.schedules().create_schedule(request).await?;
        Ok(answer.into_inner().schedule.expect("a schedule"))
    }

    async fn update(
        &self,
        schedule: &proto::Schedule,
        paths: &[&str],
        etag: &str,
    ) -> Result<proto::Schedule, Status> {
        let request = proto::UpdateScheduleRequest {
            workspace_id: self.desk.workspace.clone(),
            schedule: Some(schedule.clone()),
            update_mask: mask(paths),
            etag: etag.to_owned(),
        };
        let answer = self.desk.user.schedules().update_schedule(request).await?;
        Ok(answer.into_inner().schedule.expect("a schedule"))
    }

    async fn get(&self, schedule: &proto::Schedule) -> proto::Schedule {
        let request = proto::GetScheduleRequest {
            workspace_id: self.desk.workspace.clone(),
            schedule_id: schedule.id.clone(),
        };
        let answer = self.desk.user.schedules().get_schedule(request).await;
        let answer = answer.expect("a schedule").into_inner();
        answer.schedule.expect("a schedule")
    }

    /// The runs of a schedule, the first slot first.
    async fn history(&self, schedule: &proto::Schedule) -> Vec<proto::Run> {
        let request = proto::ListRunsRequest {
            workspace_id: self.desk.workspace.clone(),
            schedule_id: schedule.id.clone(),
            ..Default::default()
        };
        let answer = self.desk.user.runs().list_runs(request).await;
        let mut runs = answer.expect("a list").into_inner().runs;
        runs.sort_by_key(|run| run.slot_time.map(|time| time.seconds));
        runs
    }

    /// Lets this much time pass, and what is due fire.
    async fn pass(&self, time: Millis) {
        self.clock.advance(time);
        self.schedules.fire_due().await.expect("fired");
    }

    /// Claims what there is at the time of the clock.
    async fn claim(&self) -> Option<(proto::Run, HeldLease)> {
        let (run, lease) = claim_at(&self.runs, RunnerTokenId::new()).await?;
        let id = run.to_string();
        let run = proto::Run {
            id,
            ..Default::default()
        };
        Some((self.desk.get(&run).await, lease))
    }

    async fn finish(&self, lease: &HeldLease, outcome: RunOutcome) {
        let ended = self.runs.finish(lease, outcome, String::new()).await;
        ended.expect("ended");
    }

    fn workspace(&self) -> membrane_server::id::WorkspaceId {
        membrane_server::id::WorkspaceId(self.desk.workspace.parse().expect("an id"))
    }

    fn id(&self, schedule: &proto::Schedule) -> membrane_server::id::ScheduleId {
        membrane_server::id::ScheduleId(schedule.id.parse().expect("an id"))
    }
}

/// The server's schedules with another clock.
fn schedules(server: &TestServer, clock: &Clock) -> Schedules {
    let database = server.app.database.clone();
    Schedules::new(database, queue(server, clock), clock.clone())
}

fn hourly() -> proto::Schedule {
    proto::Schedule {
        cron: "0 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        spec: Some(spec("tidy up")),
        enabled: true,
        ..Default::default()
    }
}

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    })
}

fn states(runs: &[proto::Run]) -> Vec<RunState> {
    runs.iter().map(proto::Run::state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_makes_one_run_and_the_next_one_another() {
    let server = TestServer::start().await;
    let plan = Plan::new(&server).await;
    let schedule = plan.create(|_| {}).await;
    assert_eq!(schedule.title, "tidy up");
    assert_eq!(schedule.next_times.len(), 5);
    plan.pass(0).await;
    assert!(plan.history(&schedule).await.is_empty(), "not due yet");
    plan.pass(MINUTE).await;
    plan.pass(MINUTE).await;
    let runs = plan.history(&schedule).await;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].schedule_id, schedule.id);
    let slot = runs[0].slot_time.expect("a slot");
    assert_eq!(slot.seconds * 1_000 % HOUR, 0);
    // It is a run like any other.
    let (run, lease) = plan.claim().await.expect("a run");
    assert_eq!(run.spec.expect("a spec").prompt, "tidy up");
    plan.finish(&lease, RunOutcome::Succeeded).await;
    plan.pass(HOUR).await;
    assert_eq!(
        states(&plan.history(&schedule).await),
        [RunState::Succeeded, RunState::Queued]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_one_fires() {
    let server = TestServer::start().await;
    let plan = Plan::new(&server).await;
    let schedule = plan
        .create(|schedule| schedule.overlap_policy = OverlapPolicy::Queue.into())
        .await;
    for _ in 0..10 {
        plan.clock.advance(HOUR);
        let servers: Vec<_> = (0..4).map(|_| schedules(&server, &plan.clock)).collect();
        let firing = servers.iter().map(Schedules::fire_due);
        for fired in futures::future::join_all(firing).await {
            fired.expect("fired");
        }
    }
    let runs = plan.history(&schedule).await;
    let mut slots: Vec<_> = runs.iter().map(|run| run.slot_time).collect();
    slots.dedup();
    assert_eq!((runs.len(), slots.len()), (10, 10), "each slot once");
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hours_down_are_made_up_for_as_the_policy_says() {
    for (missed, expected) in [
        (MissedPolicy::Skip, 0),
        (MissedPolicy::One, 1),
        (MissedPolicy::All, 4),
    ] {
        let server = TestServer::start().await;
        let plan = Plan::new(&server).await;
        let schedule = plan
            .create(|schedule| {
                schedule.missed_policy = missed.into();
                schedule.missed_limit = 4;
                schedule.overlap_policy = OverlapPolicy::Queue.into();
            })
            .await;
        plan.pass(6 * HOUR + HOUR / 2).await;
        plan.pass(1_000).await;
        assert_eq!(plan.history(&schedule).await.len(), expected, "{missed:?}");
        plan.pass(HOUR / 2 + MINUTE).await;
        let after = plan.history(&schedule).await.len();
        assert_eq!(after, expected + 1, "{missed:?}: it goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_run_is_not_over_the_policy_decides() {
    for (overlap, expected) in [
        (OverlapPolicy::Skip, vec![RunState::Queued]),
        (
            OverlapPolicy::Queue,
            vec![RunState::Queued, RunState::Queued],
        ),
        (
            OverlapPolicy::CancelPrevious,
            vec![RunState::Cancelled, RunState::Queued],
        ),
    ] {
        let server = TestServer::start().await;
        let plan = Plan::new(&server).await;
        let change = |schedule: &mut proto::Schedule| schedule.overlap_policy = overlap.into();
        let schedule = plan.create(change).await;
        plan.pass(HOUR).await;
        plan.pass(HOUR).await;
        let seen = states(&plan.history(&schedule).await);
        assert_eq!(seen, expected, "{overlap:?}");
        let pictures = plan.desk.snapshots().await;
        assert_eq!(pictures, expected.len(), "one for each run, and no other");
    }
}

/// As when a schedule is deleted while a run of it is being made.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_schedule_that_is_gone_is_claimed_as_any_other() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let settings = Settings::default();
    let key = RequestKey {
        user_id: desk.user.id,
        request_id: None,
        method: "RunSchedule",
    };
    let new = NewRun {
        workspace: WorkspaceId(desk.workspace.parse().expect("an id")),
        user: desk.user.id,
        title: "of no schedule".to_owned(),
        spec: Spec::decode(&spec("x")).expect("a spec"),
        base: None,
        applies: true,
        origin: Some(Origin {
            schedule: ScheduleId::new(),
            slot: None,
        }),
        retry_of: None,
        by_agent: false,
        key,
    };
    server.app.runs.create(new, settings).await.expect("queued");
    crate::runs::claim(&desk.runner).await.expect("claimed");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_of_a_schedule_are_never_at_work_together() {
    let server = TestServer::start().await;
    let plan = Plan::new(&server).await;
    plan.create(|schedule| schedule.overlap_policy = OverlapPolicy::Queue.into())
        .await;
    plan.pass(HOUR).await;
    plan.pass(HOUR).await;
    plan.desk.queue("something else").await;
    let claimed = [plan.claim().await, plan.claim().await].map(|one| one.expect("a run"));
    assert!(plan.claim().await.is_none(), "the schedule's second waits");
    let (first, lease) = claimed
        .iter()
        .find(|(run, _)| !run.schedule_id.is_empty())
        .expect("the schedule's first");
    plan.finish(lease, RunOutcome::Succeeded).await;
    let (second, _) = plan.claim().await.expect("the schedule's second");
    assert_eq!(second.schedule_id, first.schedule_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_in_a_row_disable_it_and_a_success_is_a_new_beginning() {
    let server = TestServer::start().await;
    let plan = Plan::new(&server).await;
    let schedule = plan.create(|schedule| schedule.max_failures = 2).await;
    for outcome in [
        RunOutcome::Failed,
        RunOutcome::Succeeded,
        RunOutcome::Failed,
        RunOutcome::Failed,
    ] {
        assert!(plan.get(&schedule).await.enabled);
        plan.pass(HOUR).await;
        let (_, lease) = plan.claim().await.expect("a run");
        plan.finish(&lease, outcome).await;
    }
    let disabled = plan.get(&schedule).await;
    assert!(!disabled.enabled);
    assert_eq!(disabled.disabled_reason, "It failed 2 times in a row.");
    assert!(disabled.next_times.is_empty());
    plan.pass(5 * HOUR).await;
    assert_eq!(plan.history(&schedule).await.len(), 4);
    let again = proto::Schedule {
        enabled: true,
        ..disabled
    };
    let again = plan
        .update(&again, &["enabled"], "")
        .await
        .expect("enabled");
    assert!(again.disabled_reason.is_empty());
    assert_eq!(again.failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_make_no_run_says_why_and_counts_as_a_failure() {
    let server = TestServer::start().await;
    let plan = Plan::new(&server).await;
    let schedule = plan.create(|schedule| schedule.max_failures = 2).await;
    let mut workspace = proto::Workspace {
        id: plan.desk.workspace.clone(),
        ..Default::default()
    };
    let settings = workspace.settings.get_or_insert_default();
    settings.set_provider(proto::Provider::Anthropic);
    settings.model = "some-model".to_owned();
    let request = proto::UpdateWorkspaceRequest {
        workspace: Some(workspace),
        update_mask: mask(&["settings.provider", "settings.model"]),
        ..Default::default()
    };
    let updated = plan.desk.user.workspaces().update_workspace(request).await;
    updated.expect("updated");
    plan.pass(HOUR).await;
    let failing = plan.get(&schedule).await;
    assert!(failing.last_error.contains("no key"), "{failing:?}");
    assert_eq!(failing.failures, 1);
    plan.pass(HOUR).await;
    assert!(!plan.get(&schedule).await.enabled);
    assert!(plan.history(&schedule).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_the_rights_of_whoever_made_it() {
    let server = TestServer::start().await;
    let plan = Plan::new(&server).await;
    let schedule = plan.create(|_| {}).await;
    let (other, viewer) = (server.user("another owner").await, Role::Viewer);
    server
        .set_role(&plan.desk.workspace, &other, Role::Owner)
        .await;
    server
        .set_role(&plan.desk.workspace, &plan.desk.user, viewer)
        .await;
    plan.pass(HOUR).await;
    let disabled = plan.get(&schedule).await;
    assert!(!disabled.enabled);
    assert!(disabled.disabled_reason.contains("may not queue runs"));
    assert!(plan.history(&schedule).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_now_whatever_its_rule_says_and_its_runs_outlive_it() {
    let server = TestServer::start().await;
    let plan = Plan::new(&server).await;
    let schedule = plan.create(|schedule| schedule.enabled = false).await;
    plan.pass(3 * HOUR).await;
    let request = proto::RunScheduleRequest {
        workspace_id: plan.desk.workspace.clone(),
        schedule_id: schedule.id.clone(),
        request_id: uuid::Uuid::new_v4().to_string(),
    };
    let user = plan.desk.user.clone();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = user.schedules().run_schedule(request.clone()).await;
        ids.push(answer.expect("a run").into_inner().run.expect("a run").id);
    }
    ids.dedup();
    let runs = plan.history(&schedule).await;
    assert_eq!((ids.len(), runs.len()), (1, 1));
    assert!(runs[0].slot_time.is_none());
    let request = proto::DeleteScheduleRequest {
        workspace_id: plan.desk.workspace.clone(),
        schedule_id: schedule.id.clone(),
    };
    user.schedules()
        .delete_schedule(request.clone())
        .await
        .expect("deleted");
    let gone = user.schedules().delete_schedule(request).await;
    assert_eq!(gone.expect_err("gone").code(), Code::NotFound);
    assert!(plan.desk.get(&runs[0]).await.schedule_id.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_an_earlier_version_is_refused_and_one_of_the_rule_goes_on_from_now() {
    let server = TestServer::start().await;
    let plan = Plan::new(&server).await;
    let schedule = plan.create(|_| {}).await;
    let changed = proto::Schedule {
        title: "nightly".to_owned(),
        cron: "30 2 * * *".to_owned(),
        time_zone: "Europe/Zurich".to_owned(),
        ..schedule.clone()
    };
    let paths = ["title", "cron", "time_zone"];
    let changed = plan
        .update(&changed, &paths, &schedule.etag)
        .await
        .expect("changed");
    assert_eq!(changed.title, "nightly");
    assert!(
        changed.next_times[0].local_time.contains("02:30"),
        "{changed:?}"
    );
    let stale = plan.update(&schedule, &["title"], &schedule.etag).await;
    assert_eq!(stale.expect_err("stale").code(), Code::Aborted);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_is_refused_by_its_field() {
    let server = TestServer::start().await;
    let plan = Plan::new(&server).await;
    let refused = async |change: &dyn Fn(&mut proto::Schedule)| {
        let mut schedule = hourly();
        change(&mut schedule);
        let refused = plan.try_create(schedule).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        refused.message().to_owned()
    };
    for (change, field) in [
        (
            (&|schedule: &mut proto::Schedule| schedule.cron = "often".to_owned())
                as &dyn Fn(&mut proto::Schedule),
            "schedule.cron",
        ),
        (
            &|schedule| schedule.cron = "0 0 30 2 *".to_owned(),
            "schedule.cron",
        ),
        (
            &|schedule| schedule.cron = "* * * * * *".to_owned(),
            "schedule.cron",
        ),
        (
            &|schedule| schedule.time_zone = "Mars".to_owned(),
            "schedule.time_zone",
        ),
        (
            &|schedule| schedule.missed_limit = 101,
            "schedule.missed_limit",
        ),
        (
            &|schedule| schedule.max_failures = -1,
            "schedule.max_failures",
        ),
        (&|schedule| schedule.spec = None, "schedule.spec"),
        (&|schedule| schedule.spec = Some(spec(" ")), "spec.prompt"),
        (
            &|schedule| schedule.title = "x".repeat(101),
            "schedule.title",
        ),
    ] {
        let message = refused(change).await;
        assert!(message.contains(field), "{field}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_has_only_so_many_and_the_same_request_makes_one() {
    let server = TestServer::start().await;
    let plan = Plan::new(&server).await;
    let request = proto::CreateScheduleRequest {
        workspace_id: plan.desk.workspace.clone(),
        schedule: Some(hourly()),
        request_id: uuid::Uuid::new_v4().to_string(),
    };
    for _ in 0..3 {
        let mut client = plan.desk.user.schedules();
        let answer = client.create_schedule(request.clone()).await;
        answer.expect("made");
    }
    for _ in 1..100 {
        plan.try_create(hourly()).await.expect("made");
    }
    let refused = plan.try_create(hourly()).await.expect_err("refused");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(reason(&refused), "TOO_MANY_SCHEDULES");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_fires_by_itself() {
    let server = TestServer::start().await;
    let plan = Plan::new(&server).await;
    let made = plan
        .try_create(proto::Schedule {
            cron: "* * * * *".to_owned(),
            ..hourly()
        })
        .await
        .expect("made");
    // As if it had been due a moment ago.
    let now = server.app.clock.now();
    let clock = Clock::manual(now - MINUTE);
    let earlier = schedules(&server, &clock);
    let paths = ["enabled".to_owned()];
    let aimed = earlier.update(plan.workspace(), plan.id(&made), None, &made, &paths, false);
    aimed.await.expect("aimed");
    tokio::time::timeout(Duration::from_secs(30), async {
        while plan.history(&made).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("a run");
}

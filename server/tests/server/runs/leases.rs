//! What happens when a runner is not heard of any more, tells twice, works too long, or is to stop.

use membrane_proto::v1::{self as proto, RunOutcome, RunState};
use membrane_server::{
    clock::Clock,
    db::{Claimant, HeldLease},
    id::{RunId, RunnerTokenId},
    runs::{self, LEASE, Runs},
};
use std::{collections::BTreeMap, time::Duration};
use tokio_util::sync::CancellationToken;

use super::{Desk, claim, finish, heartbeat, spec, start, tell};
use crate::fixture::{TestServer, reason};

/// The server's queue with a clock of its own.
pub fn queue(server: &TestServer, clock: &Clock) -> Runs {
    let app = &server.app;
    Runs::new(runs::Dependencies {
        database: app.database.clone(),
        log: app.log.clone(),
        clock: clock.clone(),
        snapshots: app.snapshots.clone(),
        sessions: app.sessions.clone(),
        redactions: app.redactions.clone(),
        providers: app.providers.clone(),
    })
}

/// Claims what there is at the time of this queue.
pub async fn claim_at(runs: &Runs, token: RunnerTokenId) -> Option<(RunId, HeldLease)> {
    let claimant = Claimant {
        token,
        workspace: None,
        name: "a runner".to_owned(),
        labels: BTreeMap::new(),
    };
    let stop = CancellationToken::new();
    let claimed = runs.claim(claimant, Duration::ZERO, &stop);
    let claimed = claimed.await.expect("an answer")?;
    let run = RunId(claimed.run.id);
    let lease = HeldLease {
        run,
        attempt: claimed.run.attempt,
        digest: membrane_server::credentials::digest_of(&claimed.token),
        token,
        workspace: None,
    };
    Some((run, lease))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_brings_the_run_back_until_it_was_tried_often_enough() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let run = desk.queue("kills its runner").await;
    // The server's own clock is behind this one, so that only this queue expires anything.
    let clock = Clock::manual(server.app.clock.now() + 1_000);
    let runs = queue(&server, &clock);
    let token = RunnerTokenId::new();
    let mut stale = Vec::new();
    for attempt in 1..=3 {
        let (_, lease) = claim_at(&runs, token).await.expect("claimed");
        assert_eq!(lease.attempt, attempt);
        runs.start(&lease).await.expect("started");
        clock.advance(LEASE - 1);
        runs.expire().await.expect("looked");
        runs.renew(&lease).await.expect("still held");
        clock.advance(LEASE);
        runs.expire().await.expect("looked");
        assert!(claim_at(&runs, token).await.is_none(), "after a pause only");
        clock.advance(60_000);
        stale.push(lease);
    }
    let failed = desk.get(&run).await;
    assert_eq!(failed.state(), RunState::Failed);
    assert_eq!(failed.reason, "ATTEMPTS_EXHAUSTED");
    assert!(claim_at(&runs, token).await.is_none());
    for lease in &stale {
        let late = runs
            .finish(lease, RunOutcome::Succeeded, String::new())
            .await;
        assert_eq!(late.expect_err("stale").reason(), "STALE_LEASE");
        let late = runs.renew(lease).await;
        assert_eq!(late.expect_err("stale").reason(), "STALE_LEASE");
    }
    let lost = desk.log(&run).await;
    let expired = lost.iter().filter(|line| line.ends_with("LEASE_EXPIRED"));
    assert_eq!(expired.count(), 2, "{lost:?}");
    assert_eq!(lost.last().expect("an end"), "FAILED 3 ATTEMPTS_EXHAUSTED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_gives_every_lease_its_time_again() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.queue("goes on").await;
    let clock = Clock::manual(server.app.clock.now() + 1_000);
    let runs = queue(&server, &clock);
    let (_, lease) = claim_at(&runs, RunnerTokenId::new())
        .await
        .expect("claimed");
    clock.advance(5 * 60_000);
    // What a server does when it starts.
    runs.recover().await.expect("recovered");
    runs.expire().await.expect("looked");
    runs.renew(&lease).await.expect("still held");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_twice_is_stored_once_and_a_gap_is_refused() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let run = desk.queue("talks").await;
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    let runner = &desk.runner;
    assert_eq!(
        tell(runner, &lease, 1, &["1", "2", "3"])
            .await
            .expect("told"),
        3
    );
    assert_eq!(
        tell(runner, &lease, 1, &["1", "2", "3"])
            .await
            .expect("again"),
        3
    );
    assert_eq!(
        tell(runner, &lease, 2, &["2", "3", "4"])
            .await
            .expect("overlapping"),
        4
    );
    let gap = tell(runner, &lease, 6, &["6"])
        .await
        .expect_err("5 is missing");
    assert_eq!(reason(&gap), "GAP");
    for (first, lines) in [(1, &["other"][..]), (3, &["3", "other"]), (4, &["3"])] {
        let other = tell(runner, &lease, first, lines).await;
        let other = other.expect_err("another event has this number");
        assert_eq!(reason(&other), "OTHER_EVENT", "{first} {lines:?}");
    }
    assert_eq!(tell(runner, &lease, 5, &["5"]).await.expect("the next"), 5);
    let log = desk.log(&run).await;
    assert_eq!(log[2..], ["1", "2", "3", "4", "5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_starts_counting_anew() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let run = desk.queue("tries again").await;
    let (_, first) = claim(&desk.runner).await.expect("a run");
    tell(&desk.runner, &first, 1, &["first"])
        .await
        .expect("told");
    let queued = finish(&desk.runner, &first, RunOutcome::Retry).await;
    let queued = queued.expect("queued again");
    assert_eq!(
        (queued.state(), queued.reason.as_str()),
        (RunState::Queued, "RUNNER_RETRY")
    );
    let late = tell(&desk.runner, &first, 2, &["late"])
        .await
        .expect_err("stale");
    assert_eq!(reason(&late), "STALE_LEASE");
    // The pause before another attempt is short; whoever waits gets it.
    let request = proto::ClaimRunRequest {
        runner_name: "patient".to_owned(),
        labels: Default::default(),
        wait: Some(prost_types::Duration {
            seconds: 30,
            nanos: 0,
        }),
    };
    let answer = desk
        .runner
        .runs()
        .claim_run(request)
        .await
        .expect("an answer");
    let second = answer.into_inner().lease.expect("a lease");
    assert_eq!(second.attempt, 2);
    assert_eq!(
        tell(&desk.runner, &second, 1, &["second"])
            .await
            .expect("told"),
        1
    );
    finish(&desk.runner, &second, RunOutcome::Failed)
        .await
        .expect("ended");
    assert_eq!(desk.get(&run).await.state(), RunState::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_run_is_cancelled_at_once_and_another_is_told() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let queued = desk.queue("never begins").await;
    assert_eq!(desk.cancel(&queued).await.state(), RunState::Cancelled);
    assert!(claim(&desk.runner).await.is_none());

    let run = desk.queue("is stopped").await;
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    start(&desk.runner, &lease).await.expect("started");
    assert!(!heartbeat(&desk.runner, &lease).await.expect("renewed"));
    let asked = desk.cancel(&run).await;
    assert_eq!(
        (asked.state(), asked.cancel_requested),
        (RunState::Running, true)
    );
    assert!(heartbeat(&desk.runner, &lease).await.expect("renewed"));
    let ended = finish(&desk.runner, &lease, RunOutcome::Cancelled).await;
    assert_eq!(ended.expect("ended").state(), RunState::Cancelled);
    let again = desk.cancel(&run).await;
    assert_eq!(again.state(), RunState::Cancelled, "an end is an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_works_too_long_is_asked_to_stop_and_has_failed() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let short = proto::RunSpec {
        timeout: Some(prost_types::Duration {
            seconds: 100,
            nanos: 0,
        }),
        ..spec("takes long")
    };
    let run = desk.create(short).await.expect("queued");
    let clock = Clock::manual(server.app.clock.now() + 1_000);
    let runs = queue(&server, &clock);
    let (_, lease) = claim_at(&runs, RunnerTokenId::new())
        .await
        .expect("claimed");
    runs.start(&lease).await.expect("started");
    for _ in 0..5 {
        clock.advance(20_000);
        runs.renew(&lease).await.expect("held");
    }
    runs.expire().await.expect("looked");
    assert!(runs.renew(&lease).await.expect("held").cancel_requested);
    // It does not stop, and is not heard of any more.
    clock.advance(LEASE);
    runs.expire().await.expect("looked");
    let failed = desk.get(&run).await;
    assert_eq!(
        (failed.state(), failed.reason.as_str()),
        (RunState::Failed, "TIMEOUT")
    );
}

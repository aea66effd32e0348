//! A4: whatever actors do to a run in whatever order, it ends once, and stays as it ended.

use membrane_proto::v1::{self as proto, RunOutcome, RunState, event_payload::Kind};
use membrane_server::{
    clock::Clock,
    db::HeldLease,
    id::{RunId, RunnerTokenId},
    runs::{LEASE, Runs, is_final},
};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};

use super::{
    Desk,
    leases::{claim_at, queue},
    spec,
};
use crate::fixture::TestServer;

/// How many orders are tried.
const CASES: usize = 60;

/// What somebody does.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// One of two runners claims whatever there is.
    Claim,
    /// Whoever once held a lease, the latest or an earlier one, uses it.
    Start(usize),
    Renew(usize),
    Finish(usize, RunOutcome),
    /// A user cancels.
    Cancel,
    /// Time passes, and lost leases are looked for.
    Pass(i64),
    /// The server is started again.
    Recover,
}

fn act() -> impl Strategy<Value = Act> {
    let outcome = prop::sample::select(vec![
        RunOutcome::Succeeded,
        RunOutcome::Failed,
        RunOutcome::Retry,
        RunOutcome::Cancelled,
    ]);
    let back = || 0_usize..3;
    prop_oneof![
        4 => Just(Act::Claim),
        2 => back().prop_map(Act::Start),
        2 => back().prop_map(Act::Renew),
        3 => (back(), outcome).prop_map(|(back, outcome)| Act::Finish(back, outcome)),
        1 => Just(Act::Cancel),
        4 => prop::sample::select(vec![1, LEASE / 2, LEASE, 3 * LEASE, 120 * LEASE])
            .prop_map(Act::Pass),
        1 => Just(Act::Recover),
    ]
}

/// One run, and all who do something to it.
struct Stage<'a> {
    desk: &'a Desk,
    runs: Runs,
    clock: Clock,
    runners: [RunnerTokenId; 2],
    run: proto::Run,
    /// Every lease that was ever given, the latest last.
    leases: Vec<HeldLease>,
}

impl Stage<'_> {
    fn lease(&self, back: usize) -> Option<&HeldLease> {
        self.leases.iter().rev().nth(back)
    }

    /// Acts; what is refused is refused.
    async fn act(&mut self, act: Act) {
        let runs = &self.runs;
        match act {
            Act::Claim => {
                let runner = self.runners[self.leases.len() % 2];
                let claimed = claim_at(runs, runner).await;
                self.leases.extend(claimed.map(|(_, lease)| lease));
            }
            Act::Start(back) => {
                if let Some(lease) = self.lease(back) {
                    let _ = runs.start(lease).await;
                }
            }
            Act::Renew(back) => {
                if let Some(lease) = self.lease(back) {
                    let _ = runs.renew(lease).await;
                }
            }
            Act::Finish(back, outcome) => {
                if let Some(lease) = self.lease(back) {
                    let _ = runs.finish(lease, outcome, String::new()).await;
                }
            }
            Act::Cancel => {
                let id = RunId(self.run.id.parse().expect("an id"));
                runs.cancel(id).await.expect("heard");
            }
            Act::Pass(time) => {
                self.clock.advance(time);
                runs.expire().await.expect("looked");
            }
            Act::Recover => runs.recover().await.expect("recovered"),
        }
    }

    async fn states(&self) -> Vec<RunState> {
        let request = proto::ListEventsRequest {
            stream: format!("runs/{}", self.run.id),
            page_size: 1_000,
            ..Default::default()
        };
        let answer = self.desk.user.events().list_events(request).await;
        let events = answer.expect("a log").into_inner().events;
        let state = |event: proto::Event| match event.payload?.kind? {
            Kind::RunStateChanged(changed) => Some(changed.state()),
            _ => None,
        };
        events.into_iter().filter_map(state).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_once_and_stays_as_it_ended() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let clock = Clock::manual(server.app.clock.now() + 1_000);
    let mut orders = TestRunner::new_with_rng(Config::default(), deterministic());
    let mut ended = 0;
    for case in 0..CASES {
        let acts = prop::collection::vec(act(), 5..40)
            .new_tree(&mut orders)
            .expect("an order")
            .current();
        let mut stage = Stage {
            desk: &desk,
            runs: queue(&server, &clock),
            clock: clock.clone(),
            runners: [RunnerTokenId::new(), RunnerTokenId::new()],
            run: desk.create(spec("whatever")).await.expect("queued"),
            leases: Vec::new(),
        };
        let mut end = None;
        for act in &acts {
            stage.act(*act).await;
            let now = desk.get(&stage.run).await;
            let attempt = (now.state(), now.attempt, now.reason.clone());
            match &end {
                Some(end) => assert_eq!(&attempt, end, "{case}: {acts:?}"),
                None if is_final(now.state()) => end = Some(attempt),
                None => {}
            }
        }
        let states = stage.states().await;
        let finals = states.iter().filter(|state| is_final(**state)).count();
        assert_eq!(finals, usize::from(end.is_some()), "{case}: {states:?}");
        if end.is_some() {
            assert!(is_final(*states.last().expect("a state")), "{states:?}");
            ended += 1;
        } else {
            // It must not be claimed in the next case.
            stage.act(Act::Cancel).await;
            stage.act(Act::Pass(120 * LEASE)).await;
        }
    }
    assert!(ended > CASES / 3, "only {ended} of {CASES} came to an end");
}

/// The same orders each time: one that fails is found again.
fn deterministic() -> proptest::test_runner::TestRng {
    proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha)
}

//! Two servers with one database and one directory of workspaces.

use std::fs;

use membrane_proto::v1::{
    self as proto, PermissionDecision, TurnOutcome, event_payload::Kind, watch_response,
};
use membrane_server::config::Config;
use tonic::Code;

use super::start;
use crate::{
    fixture::{CAP, Caller, TestServer, reason},
    runs::{Desk, claim, spec},
    storage,
    turns::result_of,
};

/// Both of them, and somebody who works at either.
struct Pair {
    first: TestServer,
    second: TestServer,
    here: Caller,
    there: Caller,
    workspace: String,
}

impl Pair {
    async fn start() -> Self {
        let first = start().await;
        let join = |config: &mut Config| {
            let url = storage::postgres(first.directory.path());
            storage::configure_postgres(config, &url);
            config.workspace_root = Some(first.directory.path().join("workspaces"));
        };
        let second = TestServer::start_with(join).await;
        let here = first.user("somebody").await;
        let workspace = here.new_workspace().await;
        Self {
            there: here.at(&second),
            here,
            first,
            second,
            workspace,
        }
    }

    /// A turn at the first server that is at work until it is stopped.
    async fn busy_turn(&self) -> String {
        self.here.bypass_permissions(&self.workspace).await;
        let session = self.here.new_session(&self.workspace).await;
        let sent = self
            .here
            .say(&session, "!bash echo begun > begun; sleep 600");
        sent.await.expect("sent");
        let begun = self.first.directory.path().join("workspaces");
        let begun = begun.join(&self.workspace).join("files/begun");
        let waited = async {
            while !begun.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(CAP, waited).await.expect("it begins");
        session
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_at_one_server_sees_what_happens_at_another() {
    let pair = Pair::start().await;
    pair.here.bypass_permissions(&pair.workspace).await;
    let session = pair.here.new_session(&pair.workspace).await;
    let stream = format!("sessions/{session}");
    let request = proto::WatchRequest {
        cursors: vec![proto::StreamCursor {
            stream,
            after_sequence: 0,
        }],
        ..Default::default()
    };
    let watch = pair.there.events().watch(request).await;
    let mut watch = watch.expect("a watch").into_inner();
    let first = watch.message().await.expect("no error").expect("no end");
    assert!(matches!(
        first.kind,
        Some(watch_response::Kind::CaughtUp(_))
    ));
    let sent = pair.here.say(&session, "!bash echo seen from afar").await;
    sent.expect("sent");
    let watched = async {
        let mut numbers = Vec::new();
        loop {
            let message = watch.message().await.expect("no error").expect("no end");
            let Some(watch_response::Kind::Event(event)) = message.kind else {
                continue;
            };
            numbers.push(event.sequence);
            if let Some(Kind::TurnEnded(_)) = event.payload.and_then(|payload| payload.kind) {
                return numbers;
            }
        }
    };
    let numbers = tokio::time::timeout(CAP, watched).await.expect("an end");
    let all = 1..=i64::try_from(numbers.len()).expect("few");
    assert_eq!(numbers, all.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_stopped_from_another_server() {
    let pair = Pair::start().await;
    let session = pair.busy_turn().await;
    let request = proto::InterruptSessionRequest {
        session_id: session.clone(),
    };
    let stopped = pair
        .there
        .sessions()
        .interrupt_session(request.clone())
        .await;
    assert!(stopped.expect("an answer").into_inner().interrupted);
    let ended = pair.here.until_turn_ended(&session, 1).await;
    assert_eq!(ended.outcome(), TurnOutcome::Interrupted);
    let again = pair.there.sessions().interrupt_session(request).await;
    assert!(!again.expect("an answer").into_inner().interrupted);
    // The session goes on wherever its next message is sent to.
    let sent = pair.there.say(&session, "!bash echo elsewhere").await;
    sent.expect("sent");
    let ended = pair.here.until_turn_ended(&session, 2).await;
    assert_eq!(ended.outcome(), TurnOutcome::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_at_another_server() {
    let pair = Pair::start().await;
    let session = pair.here.new_session(&pair.workspace).await;
    let sent = pair.here.say(&session, "!bash echo allowed from afar");
    sent.await.expect("sent");
    let mut asked = String::new();
    let question = pair.there.until(&session, |kind| {
        if let Kind::PermissionRequested(requested) = kind {
            asked.clone_from(&requested.permission_request_id);
        }
        !asked.is_empty()
    });
    question.await;
    let request = proto::ResolvePermissionRequest {
        session_id: session.clone(),
        permission_request_id: asked,
        decision: PermissionDecision::Allow.into(),
        ..Default::default()
    };
    let resolved = pair.there.sessions().resolve_permission(request).await;
    resolved.expect("answered");
    let ended = pair.there.until_turn_ended(&session, 1).await;
    assert_eq!(ended.outcome(), TurnOutcome::Completed);
    let results = result_of(&pair.here.history(&session).await);
    assert!(results[0].0.contains("allowed from afar"), "{results:?}");
}

/// Each turn fails if another one is at work in the workspace.
#[tokio::test(flavor = "multi_thread")]
async fn turns_of_two_servers_never_meet_in_a_workspace() {
    const TURNS: usize = 3;
    let pair = Pair::start().await;
    pair.here.bypass_permissions(&pair.workspace).await;
    let mut sessions = Vec::new();
    for number in 0..TURNS * 2 {
        let caller = match number % 2 {
            0 => &pair.here,
            _ => &pair.there,
        };
        let session = caller.new_session(&pair.workspace).await;
        let command = "!bash mkdir alone && sleep 0.2 && rmdir alone && echo nobody else";
        caller.say(&session, command).await.expect("sent");
        sessions.push(session);
    }
    for session in sessions {
        pair.there.until_turn_ended(&session, 1).await;
        let results = result_of(&pair.there.history(&session).await);
        assert!(results[0].0.contains("nobody else"), "{results:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_brought_back_while_an_agent_works_at_another_server() {
    let pair = Pair::start().await;
    let request = proto::CreateSnapshotRequest {
        workspace_id: pair.workspace.clone(),
        ..Default::default()
    };
    let taken = pair.there.snapshots().create_snapshot(request).await;
    let snapshot = taken.expect("taken").into_inner().snapshot;
    let session = pair.busy_turn().await;
    let request = proto::RestoreSnapshotRequest {
        workspace_id: pair.workspace.clone(),
        snapshot_id: snapshot.expect("a snapshot").id,
        ..Default::default()
    };
    let mut snapshots = pair.there.snapshots();
    let restored = snapshots.restore_snapshot(request.clone()).await;
    let refused = restored.expect_err("refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "TURN_RUNNING");
    let interrupt = proto::InterruptSessionRequest {
        session_id: session,
    };
    let stopped = pair.there.sessions().interrupt_session(interrupt).await;
    stopped.expect("stopped");
    // The first server gives the workspace back a moment later.
    let restoring = async {
        loop {
            match snapshots.restore_snapshot(request.clone()).await {
                Ok(_) => return,
                Err(status) => assert_eq!(reason(&status), "TURN_RUNNING"),
            }
        }
    };
    tokio::time::timeout(CAP, restoring)
        .await
        .expect("restored");
    let files = pair.first.directory.path().join("workspaces");
    let files = files.join(&pair.workspace).join("files");
    assert_eq!(fs::read_dir(files).expect("a directory").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_stored_at_one_server_is_masked_at_the_other() {
    const VALUE: &str = "canary-9d2f-canary";
    let pair = Pair::start().await;
    pair.here.bypass_permissions(&pair.workspace).await;
    let session = pair.here.new_session(&pair.workspace).await;
    let command = format!("!bash for i in $(seq 40); do echo {VALUE}; sleep 0.1; done");
    pair.here.say(&session, &command).await.expect("sent");
    let began = |kind: &Kind| matches!(kind, Kind::ToolCall(_));
    pair.there.until(&session, began).await;
    let request = proto::CreateSecretRequest {
        name: "canary".to_owned(),
        value: VALUE.to_owned(),
        ..Default::default()
    };
    let stored = pair.there.secrets().create_secret(request).await;
    stored.expect("stored");
    pair.there.until_turn_ended(&session, 1).await;
    let results = result_of(&pair.here.history(&session).await);
    assert!(!results[0].0.contains(VALUE), "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_through_both_servers() {
    let pair = Pair::start().await;
    let desk = Desk::new(&pair.first).await;
    let runner = desk.runner.at(&pair.second);
    // It waits at the second server for what is queued at the first.
    let waiting = async {
        let request = proto::ClaimRunRequest {
            runner_name: "a runner".to_owned(),
            wait: Some(prost_types::Duration {
                seconds: 30,
                nanos: 0,
            }),
            ..Default::default()
        };
        let claimed = runner.runs().claim_run(request).await;
        claimed.expect("an answer").into_inner()
    };
    let (claimed, run) = tokio::join!(waiting, desk.queue("anywhere"));
    assert_eq!(claimed.run.expect("a run").id, run.id);
    let lease = claimed.lease.expect("a lease");
    crate::runs::start(&runner, &lease).await.expect("started");
    // Its lease holds at either.
    let told = crate::runs::tell(&desk.runner, &lease, 1, &["one"]).await;
    assert_eq!(told.expect("told"), 1);
    let told = crate::runs::tell(&runner, &lease, 1, &["one", "two"]).await;
    assert_eq!(told.expect("told"), 2);
    desk.cancel(&run).await;
    let cancel = crate::runs::heartbeat(&runner, &lease).await;
    assert!(cancel.expect("an answer"));
    assert!(claim(&runner).await.is_none());
    let unsaid = desk.create(spec("")).await.expect_err("refused");
    assert_eq!(unsaid.code(), Code::InvalidArgument);
}

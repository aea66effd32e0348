//! Runs: queued, claimed under a lease, reported, ended, and what they made brought back.

use std::{collections::HashMap, fs, path::PathBuf};

use bytes::Bytes;
use membrane_proto::v1::{
    self as proto, ApplyState, RunOutcome, RunState, event_payload::Kind,
    upload_run_result_request::Part as UploadPart,
};
use membrane_server::{credentials::new_runner_token, id::RunnerTokenId};
use tonic::{Code, Status};

use crate::{
    fixture::{Caller, TestServer, reason},
    raw::{file, zip},
};

mod dispatching;
mod fencing;
mod interleaving;
pub mod leases;
mod models;
mod repeating;
mod results;
mod syncing;

/// A user with a workspace, and a runner.
pub struct Desk {
    pub user: Caller,
    pub workspace: String,
    pub files: PathBuf,
    pub runner: Caller,
}

impl Desk {
    pub async fn new(server: &TestServer) -> Self {
        let user = server.user("user").await;
        let workspace = user.new_workspace().await;
        let root = server.directory.path().join("workspaces");
        Self {
            files: root.join(&workspace).join("files"),
            user,
            workspace,
            runner: runner(server, None).await,
        }
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.files.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.files.join(path)).expect("a file")
    }

    pub async fn create(&self, spec: proto::RunSpec) -> Result<proto::Run, Status> {
        let request = proto::CreateRunRequest {
            workspace_id: self.workspace.clone(),
            spec: Some(spec),
            ..Default::default()
        };
        let answer = self.user.runs().create_run(request).await?;
        Ok(answer.into_inner().run.expect("a run"))
    }

    pub async fn queue(&self, prompt: &str) -> proto::Run {
        self.create(spec(prompt)).await.expect("queued")
    }

    pub async fn get(&self, run: &proto::Run) -> proto::Run {
        let request = proto::GetRunRequest {
            run_id: run.id.clone(),
        };
        let answer = self.user.runs().get_run(request).await;
        answer.expect("a run").into_inner().run.expect("a run")
    }

    pub async fn cancel(&self, run: &proto::Run) -> proto::Run {
        let request = proto::CancelRunRequest {
            run_id: run.id.clone(),
        };
        let answer = self.user.runs().cancel_run(request).await;
        answer.expect("cancelled").into_inner().run.expect("a run")
    }

    /// How many snapshots there are.
    pub async fn snapshots(&self) -> usize {
        let request = proto::ListSnapshotsRequest {
            workspace_id: self.workspace.clone(),
            ..Default::default()
        };
        let answer = self.user.snapshots().list_snapshots(request).await;
        answer.expect("a list").into_inner().snapshots.len()
    }

    /// The log of a run: what it changed to and why, and what was told.
    pub async fn log(&self, run: &proto::Run) -> Vec<String> {
        let request = proto::ListEventsRequest {
            stream: format!("runs/{}", run.id),
            page_size: 1_000,
            ..Default::default()
        };
        let answer = self.user.events().list_events(request).await;
        let events = answer.expect("a log").into_inner().events;
        let tell = |event: proto::Event| match event.payload?.kind? {
            Kind::RunStateChanged(changed) => {
                let word = changed.state().as_str_name().replace("RUN_STATE_", "");
                Some(format!("{word} {} {}", changed.attempt, changed.reason))
            }
            Kind::RunOutput(output) => Some(output.text),
            Kind::AgentText(text) => Some(text.text),
            _ => None,
        };
        events.into_iter().filter_map(tell).collect()
    }
}

/// A runner, of one workspace or of all.
pub async fn runner(server: &TestServer, workspace: Option<&str>) -> Caller {
    let workspace =
        workspace.map(|id| membrane_server::id::WorkspaceId(id.parse().expect("an id")));
    let database = &server.app.database;
    let made = new_runner_token(database, "runner".to_owned(), workspace, 0).await;
    let (_, secret) = made.expect("a token");
    Caller::stranger(&server.channel, Some(&format!("Bearer {secret}")))
}

pub fn spec(prompt: &str) -> proto::RunSpec {
    proto::RunSpec {
        prompt: prompt.to_owned(),
        ..Default::default()
    }
}

/// Claims what there is, without waiting.
pub async fn claim(runner: &Caller) -> Option<(proto::Run, proto::RunLease)> {
    claim_with(runner, &[]).await
}

pub async fn claim_with(
    runner: &Caller,
    labels: &[(&str, &str)],
) -> Option<(proto::Run, proto::RunLease)> {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    let request = proto::ClaimRunRequest {
        runner_name: "a runner".to_owned(),
        labels: labels.iter().map(owned).collect::<HashMap<_, _>>(),
        wait: None,
    };
    let answer = runner.runs().claim_run(request).await.expect("an answer");
    let claimed = answer.into_inner();
    Some((claimed.run?, claimed.lease?))
}

pub async fn start(runner: &Caller, lease: &proto::RunLease) -> Result<(), Status> {
    let request = proto::StartRunRequest {
        lease: Some(lease.clone()),
    };
    runner.runs().start_run(request).await.map(drop)
}

pub async fn heartbeat(runner: &Caller, lease: &proto::RunLease) -> Result<bool, Status> {
    let request = proto::HeartbeatRunRequest {
        lease: Some(lease.clone()),
    };
    let answer = runner.runs().heartbeat_run(request).await?;
    Ok(answer.into_inner().cancel_requested)
}

pub async fn tell(
    runner: &Caller,
    lease: &proto::RunLease,
    first_number: i64,
    lines: &[&str],
) -> Result<i64, Status> {
    let event = |line: &&str| proto::EventPayload {
        kind: Some(Kind::RunOutput(proto::RunOutput {
            text: line.to_string(),
        })),
        ..Default::default()
    };
    let request = proto::AppendRunEventsRequest {
        lease: Some(lease.clone()),
        first_number,
        events: lines.iter().map(event).collect(),
    };
    let answer = runner.runs().append_run_events(request).await?;
    Ok(answer.into_inner().last_number)
}

pub async fn download(runner: &Caller, lease: &proto::RunLease) -> Result<Vec<u8>, Status> {
    let request = proto::DownloadRunBaseRequest {
        lease: Some(lease.clone()),
    };
    let mut parts = runner.runs().download_run_base(request).await?.into_inner();
    let mut archive = Vec::new();
    while let Some(part) = parts.message().await? {
        archive.extend_from_slice(&part.chunk);
    }
    Ok(archive)
}

/// Sends these files as what the run made.
pub async fn upload(
    runner: &Caller,
    lease: &proto::RunLease,
    files: &[(&str, &str)],
) -> Result<String, Status> {
    let entries: Vec<_> = files
        .iter()
        .map(|(name, text)| file(name, text.as_bytes()))
        .collect();
    let parts = [
        UploadPart::Lease(lease.clone()),
        UploadPart::Chunk(Bytes::from(zip(&entries))),
    ];
    let messages = parts.map(|part| proto::UploadRunResultRequest { part: Some(part) });
    let mut client = runner.runs();
    let answer = client
        .upload_run_result(tokio_stream::iter(messages))
        .await?;
    Ok(answer.into_inner().snapshot_id)
}

pub async fn finish(
    runner: &Caller,
    lease: &proto::RunLease,
    outcome: RunOutcome,
) -> Result<proto::Run, Status> {
    let request = proto::FinishRunRequest {
        lease: Some(lease.clone()),
        outcome: outcome.into(),
        message: String::new(),
    };
    let answer = runner.runs().finish_run(request).await?;
    Ok(answer.into_inner().run.expect("a run"))
}

/// Leases and tokens of those who do not hold this lease, and why each does not. `other` is a lease that
/// somebody holds.
pub async fn strangers(
    server: &TestServer,
    desk: &Desk,
    lease: &proto::RunLease,
    other: &proto::RunLease,
) -> Vec<(&'static str, proto::RunLease, String)> {
    let made = new_runner_token(&server.app.database, "another".to_owned(), None, 0);
    let (_, runner_token) = made.await.expect("a token");
    let user = desk.user.authorization().expect("a token");
    let next = proto::RunLease {
        attempt: lease.attempt + 1,
        ..lease.clone()
    };
    let of = |run_id: String| proto::RunLease {
        run_id,
        ..lease.clone()
    };
    let token = lease.token.clone();
    vec![
        ("no token", lease.clone(), String::new()),
        (
            "a runner's token",
            lease.clone(),
            runner_token.as_str().to_owned(),
        ),
        ("a user's token", lease.clone(), user.replace("Bearer ", "")),
        ("another run's token", lease.clone(), other.token.clone()),
        ("another attempt", next, token.clone()),
        (
            "no run",
            of(uuid::Uuid::new_v4().to_string()),
            token.clone(),
        ),
        ("no id", of("nonsense".to_owned()), token),
    ]
}

/// Deletes the tokens of all runners.
pub async fn revoke_all(server: &TestServer) {
    let database = &server.app.database;
    for token in database.runner_tokens().await.expect("tokens") {
        let deleted = database.delete_runner_token(RunnerTokenId(token.id)).await;
        assert!(deleted.expect("deleted"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_from_the_queue_to_its_end() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("note.txt", "before");
    let run = desk.queue("Do something.\nWith more words.").await;
    assert_eq!((run.state(), run.attempt), (RunState::Queued, 0));
    assert_eq!(run.title, "Do something.");
    // The spec is frozen: what changes now is not in it.
    desk.write("note.txt", "changed since");
    desk.user.bypass_permissions(&desk.workspace).await;

    let (claimed, lease) = claim(&desk.runner).await.expect("a run");
    assert_eq!(
        (claimed.id.as_str(), claimed.state()),
        (run.id.as_str(), RunState::Claimed)
    );
    let frozen = claimed.spec.expect("a spec");
    assert_eq!(frozen.prompt, "Do something.\nWith more words.");
    let mode = frozen.settings.expect("settings").permission_mode();
    assert_eq!(mode, proto::PermissionMode::Default);
    assert!(claim(&desk.runner).await.is_none(), "nobody else gets it");

    start(&desk.runner, &lease).await.expect("started");
    start(&desk.runner, &lease).await.expect("started once");
    let archive = download(&desk.runner, &lease).await.expect("the files");
    let is_old = archive.windows(8).any(|bytes| bytes == b"note.txt");
    assert!(is_old && !heartbeat(&desk.runner, &lease).await.expect("renewed"));
    assert_eq!(
        tell(&desk.runner, &lease, 1, &["one", "two"])
            .await
            .expect("told"),
        2
    );
    let ended = finish(&desk.runner, &lease, RunOutcome::Succeeded).await;
    let ended = ended.expect("ended");
    assert_eq!(ended.state(), RunState::Succeeded);
    assert_eq!(ended.apply_state(), ApplyState::Nothing);
    assert!(ended.start_time.is_some() && ended.end_time.is_some());
    assert_eq!(
        desk.log(&run).await,
        [
            "QUEUED 0 ",
            "CLAIMED 1 ",
            "RUNNING 1 ",
            "one",
            "two",
            "SUCCEEDED 1 "
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_masked_in_what_is_asked_and_in_what_is_told() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let secret = proto::CreateSecretRequest {
        name: "token".to_owned(),
        value: "canary-5b1c-run".to_owned(),
        request_id: String::new(),
    };
    desk.user
        .secrets()
        .create_secret(secret)
        .await
        .expect("stored");
    let run = desk.queue("Use canary-5b1c-run, please.").await;
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    tell(&desk.runner, &lease, 1, &["it is canary-5b1c-run"])
        .await
        .expect("told");
    let request = proto::FinishRunRequest {
        lease: Some(lease),
        outcome: RunOutcome::Failed.into(),
        message: "canary-5b1c-run was refused".to_owned(),
    };
    desk.runner.runs().finish_run(request).await.expect("ended");
    let (run, log) = (desk.get(&run).await, desk.log(&run).await);
    assert!(log.contains(&"it is [redacted]".to_owned()), "{log:?}");
    assert_eq!(run.message, "[redacted] was refused");
    assert!(
        !format!("{run:?}{log:?}").contains("canary"),
        "{run:?} {log:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_a_runner_and_a_runner_for_a_run() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let runner = desk.runner.clone();
    let waiting = tokio::spawn(async move {
        let request = proto::ClaimRunRequest {
            runner_name: "patient".to_owned(),
            labels: HashMap::new(),
            wait: Some(prost_types::Duration {
                seconds: 30,
                nanos: 0,
            }),
        };
        runner.runs().claim_run(request).await
    });
    let run = desk.queue("wake up").await;
    let claimed = waiting
        .await
        .expect("no panic")
        .expect("an answer")
        .into_inner();
    assert_eq!(claimed.run.expect("a run").id, run.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_that_of_priority_then_fairness_then_age() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let other = Desk {
        workspace: desk.user.new_workspace().await,
        user: desk.user.clone(),
        files: PathBuf::new(),
        runner: desk.runner.clone(),
    };
    let first = desk.queue("first").await;
    let second = desk.queue("second").await;
    let third = desk.queue("third").await;
    let elsewhere = other.queue("elsewhere").await;
    let urgent = proto::RunSpec {
        priority: 5,
        ..spec("urgent")
    };
    let urgent = desk.create(urgent).await.expect("queued");
    let mut order = Vec::new();
    while let Some((run, _)) = claim(&desk.runner).await {
        order.push(run.id);
    }
    let expected = [urgent, elsewhere, first, second, third];
    assert_eq!(order, expected.map(|run| run.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_gets_only_what_it_is_fit_for() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let wanted = HashMap::from([("gpu".to_owned(), "yes".to_owned())]);
    let labelled = proto::RunSpec {
        labels: wanted,
        ..spec("needs a GPU")
    };
    desk.create(labelled).await.expect("queued");
    assert!(claim(&desk.runner).await.is_none());
    assert!(claim_with(&desk.runner, &[("gpu", "no")]).await.is_none());
    let elsewhere = runner(&server, Some(&desk.user.new_workspace().await)).await;
    assert!(claim_with(&elsewhere, &[("gpu", "yes")]).await.is_none());
    let here = runner(&server, Some(&desk.workspace)).await;
    let labels = [("gpu", "yes"), ("more", "labels")];
    assert!(claim_with(&here, &labels).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_a_hundred_times_makes_one_run() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let request = proto::CreateRunRequest {
        workspace_id: desk.workspace.clone(),
        spec: Some(spec("once")),
        title: String::new(),
        request_id: uuid::Uuid::new_v4().to_string(),
    };
    let calls = (0..100).map(|_| {
        let (user, request) = (desk.user.clone(), request.clone());
        async move { user.runs().create_run(request).await.expect("an answer") }
    });
    let answers = futures::future::join_all(calls).await;
    let ids: std::collections::HashSet<String> = answers
        .into_iter()
        .map(|answer| answer.into_inner().run.expect("a run").id)
        .collect();
    assert_eq!(ids.len(), 1);
    assert!(claim(&desk.runner).await.is_some());
    assert!(claim(&desk.runner).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_by_state_and_page_by_page() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let runs = [
        desk.queue("a").await,
        desk.queue("b").await,
        desk.queue("c").await,
    ];
    desk.cancel(&runs[1]).await;
    let list = |states: Vec<RunState>, page_size, page_token: String| {
        let request = proto::ListRunsRequest {
            workspace_id: desk.workspace.clone(),
            states: states.into_iter().map(Into::into).collect(),
            page_size,
            page_token,
            ..Default::default()
        };
        let user = desk.user.clone();
        async move {
            let answer = user.runs().list_runs(request).await.expect("a list");
            let answer = answer.into_inner();
            let titles: Vec<String> = answer.runs.into_iter().map(|run| run.title).collect();
            (titles, answer.next_page_token)
        }
    };
    let (titles, token) = list(Vec::new(), 2, String::new()).await;
    assert_eq!(titles, ["c", "b"]);
    assert_eq!(list(Vec::new(), 2, token).await.0, ["a"]);
    assert_eq!(
        list(vec![RunState::Cancelled], 0, String::new()).await.0,
        ["b"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_that_can_not_be_is_refused() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let many = (0..40)
        .map(|number| (number.to_string(), String::new()))
        .collect();
    let duration = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let bad = [
        spec(" "),
        proto::RunSpec {
            priority: 101,
            ..spec("x")
        },
        proto::RunSpec {
            max_attempts: 11,
            ..spec("x")
        },
        proto::RunSpec {
            timeout: duration(0),
            ..spec("x")
        },
        proto::RunSpec {
            timeout: duration(90_000),
            ..spec("x")
        },
        proto::RunSpec {
            labels: many,
            ..spec("x")
        },
    ];
    for one in bad {
        let refused = desk.create(one.clone()).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument, "{one:?}");
    }
    let unknown = proto::RunSpec {
        base_snapshot_id: uuid::Uuid::new_v4().to_string(),
        ..spec("x")
    };
    let refused = desk.create(unknown).await.expect_err("no such snapshot");
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(reason(&refused), "NOT_FOUND");
}

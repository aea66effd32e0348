//! RunService, and what its calls are about.

use std::{collections::BTreeMap, fs, time::Duration};

use membrane_entity::run;
use membrane_files::store::Digest;
use membrane_proto::v1 as proto;
use membrane_server::{
    credentials::digest_of,
    db::{Claimant, HeldLease, RequestKey},
    id::{RunId, RunnerTokenId, SnapshotId, WorkspaceId},
    runs::{NewRun, Spec},
    settings::Settings,
    snapshots::{Kind, NewSnapshot},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Allowed, Cast, Method, one};
use crate::fixture::TestServer;

/// What calls of RunService are about.
#[derive(Debug, Clone, Default)]
pub struct Things {
    /// A queued run.
    run: String,
    /// One that has made something.
    applicable: String,
    /// A lease of the runner.
    lease: Option<proto::RunLease>,
    /// A token of runners that nobody uses.
    token: String,
}

impl Things {
    /// The same of which nothing is there.
    pub fn absent(&self) -> Self {
        Self {
            run: Uuid::new_v4().to_string(),
            applicable: Uuid::new_v4().to_string(),
            ..self.clone()
        }
    }
}

/// Makes them in a workspace.
pub async fn furnish(server: &TestServer, cast: &Cast, workspace: &str) -> Things {
    let workspace = WorkspaceId(workspace.parse().expect("an id"));
    let applicable = applicable(server, cast, workspace).await;
    queue(server, cast, workspace, true).await;
    let (_, lease) = claim(server, cast.runner, workspace).await;
    let database = &server.app.database;
    let spare =
        membrane_server::credentials::new_runner_token(database, "spare".to_owned(), None, 0);
    let (token, _) = spare.await.expect("a token");
    Things {
        run: queue(server, cast, workspace, true).await.id.to_string(),
        applicable,
        lease: Some(lease),
        token: token.id.to_string(),
    }
}

async fn queue(
    server: &TestServer,
    cast: &Cast,
    workspace: WorkspaceId,
    applies: bool,
) -> run::Model {
    let spec = proto::RunSpec {
        prompt: "x".to_owned(),
        ..Default::default()
    };
    let new = NewRun {
        retry_of: None,
        by_agent: false,
        workspace,
        user: cast.owner.id,
        title: String::new(),
        spec: Spec::decode(&spec).expect("a spec"),
        base: None,
        applies,
        origin: None,
        key: RequestKey {
            user_id: cast.owner.id,
            request_id: None,
            method: "CreateRun",
        },
    };
    let queued = server.app.runs.create(new, Settings::default()).await;
    queued.expect("a run")
}

async fn claim(
    server: &TestServer,
    token: RunnerTokenId,
    workspace: WorkspaceId,
) -> (HeldLease, proto::RunLease) {
    let claimant = Claimant {
        token,
        workspace: Some(workspace),
        name: "runner".to_owned(),
        labels: BTreeMap::new(),
    };
    let stop = CancellationToken::new();
    let claimed = server.app.runs.claim(claimant, Duration::ZERO, &stop);
    let claimed = claimed.await.expect("an answer").expect("a run");
    let held = HeldLease {
        run: RunId(claimed.run.id),
        attempt: claimed.run.attempt,
        digest: digest_of(&claimed.token),
        token,
        workspace: None,
    };
    let lease = proto::RunLease {
        run_id: claimed.run.id.to_string(),
        attempt: claimed.run.attempt,
        token: claimed.token,
    };
    (held, lease)
}

/// A run that has made something, which waits to be applied.
async fn applicable(server: &TestServer, cast: &Cast, workspace: WorkspaceId) -> String {
    let run = queue(server, cast, workspace, false).await;
    let (lease, _) = claim(server, cast.runner, workspace).await;
    let files = server.app.places.place(workspace).files;
    fs::write(files.join("made"), "by a run").expect("written");
    let new = NewSnapshot {
        workspace,
        user: cast.owner.id,
        title: String::new(),
        pinned: false,
        key: None,
    };
    let made = server.app.snapshots.take(new, Kind::RunResult).await;
    let result = SnapshotId(made.expect("a snapshot").id);
    let (database, now) = (&server.app.database, server.app.clock.now());
    database
        .set_run_result(&lease, result, now)
        .await
        .expect("noted");
    let outcome = proto::RunOutcome::Succeeded;
    let ended = server.app.runs.finish(&lease, outcome, String::new()).await;
    assert_eq!(ended.expect("ended").apply_state, "pending");
    run.id.to_string()
}

pub const METHODS: &[Method] = &[
    ("RunService/CreateRun", Allowed::Editors, |place| {
        one(proto::CreateRunRequest {
            workspace_id: place.workspace.clone(),
            spec: Some(proto::RunSpec {
                prompt: "x".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        })
    }),
    ("RunService/GetRun", Allowed::Viewers, |place| {
        one(proto::GetRunRequest {
            run_id: place.runs.run.clone(),
        })
    }),
    ("RunService/ListRuns", Allowed::Viewers, |place| {
        one(proto::ListRunsRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("RunService/CancelRun", Allowed::Editors, |place| {
        one(proto::CancelRunRequest {
            run_id: place.runs.run.clone(),
        })
    }),
    ("RunService/RetryRun", Allowed::Editors, |place| {
        one(proto::RetryRunRequest {
            run_id: place.runs.run.clone(),
            current_files: true,
            ..Default::default()
        })
    }),
    ("RunService/ApplyRun", Allowed::Editors, |place| {
        one(proto::ApplyRunRequest {
            run_id: place.runs.applicable.clone(),
            ..Default::default()
        })
    }),
    (
        "RunService/CreateRunnerToken",
        Allowed::Administrators,
        |_| {
            one(proto::CreateRunnerTokenRequest {
                name: "new".to_owned(),
                workspace_id: String::new(),
            })
        },
    ),
    (
        "RunService/ListRunnerTokens",
        Allowed::Administrators,
        |_| one(proto::ListRunnerTokensRequest {}),
    ),
    (
        "RunService/DeleteRunnerToken",
        Allowed::Administrators,
        |place| {
            one(proto::DeleteRunnerTokenRequest {
                runner_token_id: place.runs.token.clone(),
            })
        },
    ),
    ("RunService/ClaimRun", Allowed::Runners, |_| {
        one(proto::ClaimRunRequest {
            runner_name: "runner".to_owned(),
            ..Default::default()
        })
    }),
    ("RunService/StartRun", Allowed::Runners, |place| {
        one(proto::StartRunRequest {
            lease: place.runs.lease.clone(),
        })
    }),
    ("RunService/HeartbeatRun", Allowed::Runners, |place| {
        one(proto::HeartbeatRunRequest {
            lease: place.runs.lease.clone(),
        })
    }),
    ("RunService/DownloadRunBase", Allowed::Runners, |place| {
        one(proto::DownloadRunBaseRequest {
            lease: place.runs.lease.clone(),
        })
    }),
    ("RunService/AppendRunEvents", Allowed::Runners, |place| {
        one(proto::AppendRunEventsRequest {
            lease: place.runs.lease.clone(),
            first_number: 1,
            events: Vec::new(),
        })
    }),
    ("RunService/ReadRunManifest", Allowed::Runners, |place| {
        one(proto::ReadRunManifestRequest {
            lease: place.runs.lease.clone(),
        })
    }),
    ("RunService/DownloadRunBlobs", Allowed::Runners, |place| {
        one(proto::DownloadRunBlobsRequest {
            lease: place.runs.lease.clone(),
            // What the turn wrote that was recorded before.
            digests: vec![Digest::of(b"by a turn").to_string()],
        })
    }),
    (
        "RunService/FindMissingRunBlobs",
        Allowed::Runners,
        |place| {
            one(proto::FindMissingRunBlobsRequest {
                lease: place.runs.lease.clone(),
                files: Vec::new(),
            })
        },
    ),
    ("RunService/UploadRunBlobs", Allowed::Runners, |place| {
        use proto::upload_run_blobs_request::Part;
        let lease = place.runs.lease.clone().expect("a lease");
        one(proto::UploadRunBlobsRequest {
            part: Some(Part::Lease(lease)),
        })
    }),
    ("RunService/CommitRunResult", Allowed::Runners, |place| {
        use proto::commit_run_result_request::Part;
        let lease = place.runs.lease.clone().expect("a lease");
        one(proto::CommitRunResultRequest {
            part: Some(Part::Lease(lease)),
        })
    }),
    ("RunService/UploadRunResult", Allowed::Runners, |place| {
        use proto::upload_run_result_request::Part;
        let archive = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let lease = place.runs.lease.clone().expect("a lease");
        let parts = [Part::Lease(lease), Part::Chunk(archive.as_slice().into())];
        let message = |part| proto::UploadRunResultRequest { part: Some(part) };
        parts
            .into_iter()
            .flat_map(|part| one(message(part)))
            .collect()
    }),
    ("RunService/FinishRun", Allowed::Runners, |place| {
        one(proto::FinishRunRequest {
            lease: place.runs.lease.clone(),
            outcome: proto::RunOutcome::Failed.into(),
            message: String::new(),
        })
    }),
];

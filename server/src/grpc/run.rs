//! RunService: the methods of users, and those of runners.

use std::{pin::Pin, time::Duration};

use futures::{Stream, StreamExt as _};
use membrane_entity::{run, runner_token};
use membrane_files::TreePath;
use membrane_proto::v1::{
    self as proto, event_payload::Kind, run_service_server::RunService,
    upload_run_result_request::Part as UploadPart,
};
use tonic::{Request, Status, Streaming};

use super::{Answer, answer, decode, principal};
use crate::{
    authz::{Operation, Permit, Principal, Resource, Runner},
    credentials::{digest_of, new_runner_token},
    db::{Claimant, HeldLease, RequestKey},
    error::Error,
    files::parse_path,
    id::{RunId, RunnerTokenId, SnapshotId, WorkspaceId},
    page::{Keyset, Page},
    runs::{ApplyState, LEASE, NewRun, Spec, labels, parse_state},
    server::App,
    time::timestamp,
    uploads::Receiving,
};

/// Tag of page tokens.
const RUNS: u8 = 13;
/// Longest title in characters, and how much of a prompt stands for one.
const MAX_TITLE: usize = 100;
const FIRST_WORDS: usize = 60;
/// Most files that stay.
const MAX_KEPT: usize = 10_000;
/// Most events of one call.
const MAX_EVENTS: usize = 500;
/// Longest output of one event in bytes.
const MAX_OUTPUT: usize = 64 << 10;
/// Longest message of a runner in characters.
const MAX_MESSAGE: usize = 2_000;
const MAX_WAIT: Duration = Duration::from_secs(30);

pub struct Service(pub App);

#[tonic::async_trait]
impl RunService for Service {
    type DownloadRunBaseStream =
        Pin<Box<dyn Stream<Item = Result<proto::DownloadRunBaseResponse, Status>> + Send>>;

    async fn create_run(
        &self,
        request: Request<proto::CreateRunRequest>,
    ) -> Answer<proto::CreateRunResponse> {
        let caller = principal(&request);
        answer(self.create(caller, request.into_inner()).await)
    }

    async fn get_run(
        &self,
        request: Request<proto::GetRunRequest>,
    ) -> Answer<proto::GetRunResponse> {
        let caller = principal(&request);
        answer(self.get(caller, request.into_inner()).await)
    }

    async fn list_runs(
        &self,
        request: Request<proto::ListRunsRequest>,
    ) -> Answer<proto::ListRunsResponse> {
        let caller = principal(&request);
        answer(self.list(caller, request.into_inner()).await)
    }

    async fn cancel_run(
        &self,
        request: Request<proto::CancelRunRequest>,
    ) -> Answer<proto::CancelRunResponse> {
        let caller = principal(&request);
        answer(self.cancel(caller, request.into_inner()).await)
    }

    async fn apply_run(
        &self,
        request: Request<proto::ApplyRunRequest>,
    ) -> Answer<proto::ApplyRunResponse> {
        let caller = principal(&request);
        answer(self.apply(caller, request.into_inner()).await)
    }

    async fn create_runner_token(
        &self,
        request: Request<proto::CreateRunnerTokenRequest>,
    ) -> Answer<proto::CreateRunnerTokenResponse> {
        let caller = principal(&request);
        answer(self.create_token(caller, request.into_inner()).await)
    }

    async fn list_runner_tokens(
        &self,
        request: Request<proto::ListRunnerTokensRequest>,
    ) -> Answer<proto::ListRunnerTokensResponse> {
        let caller = principal(&request);
        answer(self.list_tokens(caller).await)
    }

    async fn delete_runner_token(
        &self,
        request: Request<proto::DeleteRunnerTokenRequest>,
    ) -> Answer<proto::DeleteRunnerTokenResponse> {
        let caller = principal(&request);
        answer(self.delete_token(caller, request.into_inner()).await)
    }

    async fn claim_run(
        &self,
        request: Request<proto::ClaimRunRequest>,
    ) -> Answer<proto::ClaimRunResponse> {
        let runner = runner(&request)?;
        answer(self.claim(runner, request.into_inner()).await)
    }

    async fn start_run(
        &self,
        request: Request<proto::StartRunRequest>,
    ) -> Answer<proto::StartRunResponse> {
        let runner = runner(&request)?;
        answer(self.start(runner, request.into_inner()).await)
    }

    async fn heartbeat_run(
        &self,
        request: Request<proto::HeartbeatRunRequest>,
    ) -> Answer<proto::HeartbeatRunResponse> {
        let runner = runner(&request)?;
        answer(self.heartbeat(runner, request.into_inner()).await)
    }

    async fn download_run_base(
        &self,
        request: Request<proto::DownloadRunBaseRequest>,
    ) -> Answer<Self::DownloadRunBaseStream> {
        let runner = runner(&request)?;
        answer(self.download(runner, request.into_inner()).await)
    }

    async fn append_run_events(
        &self,
        request: Request<proto::AppendRunEventsRequest>,
    ) -> Answer<proto::AppendRunEventsResponse> {
        let runner = runner(&request)?;
        answer(self.append(runner, request.into_inner()).await)
    }

    async fn upload_run_result(
        &self,
        request: Request<Streaming<proto::UploadRunResultRequest>>,
    ) -> Answer<proto::UploadRunResultResponse> {
        let runner = runner(&request)?;
        answer(self.upload(runner, request.into_inner()).await)
    }

    async fn finish_run(
        &self,
        request: Request<proto::FinishRunRequest>,
    ) -> Answer<proto::FinishRunResponse> {
        let runner = runner(&request)?;
        answer(self.finish(runner, request.into_inner()).await)
    }
}

/// What users do.
impl Service {
    async fn permit(
        &self,
        caller: Option<&Principal>,
        operation: Operation,
        run_id: &str,
    ) -> Result<(Permit, RunId), Error> {
        let (id, resource) = match caller {
            None => (RunId(uuid::Uuid::nil()), Resource::Server),
            Some(_) => {
                let id = RunId(decode::id(run_id, "run")?);
                (id, Resource::Run(id))
            }
        };
        let permit = self.0.authority.permit(caller, operation, resource).await?;
        Ok((permit, id))
    }

    async fn create(
        &self,
        caller: Option<Principal>,
        request: proto::CreateRunRequest,
    ) -> Result<proto::CreateRunResponse, Error> {
        let operation = Operation::CreateRun;
        let permit = self
            .0
            .permit_in(caller.as_ref(), operation, &request.workspace_id)
            .await?;
        let given = request
            .spec
            .ok_or_else(|| Error::invalid("spec", "is required"))?;
        let spec = Spec::decode(&given)?;
        let base = match given.base_snapshot_id.as_str() {
            "" => None,
            id => Some(SnapshotId(decode::id(id, "snapshot")?)),
        };
        let new = NewRun {
            workspace: permit.workspace,
            user: permit.user_id(),
            title: title(&request.title, &spec.prompt)?,
            applies: given.apply_mode() != proto::ApplyMode::Manual,
            spec,
            base,
            key: RequestKey {
                user_id: permit.user_id(),
                request_id: decode::request_id(&request.request_id)?,
                method: "CreateRun",
            },
        };
        let settings = self.0.settings(permit.workspace).await?;
        let row = self.0.runs.create(new, settings).await?;
        Ok(proto::CreateRunResponse {
            run: Some(encode(&row)?),
        })
    }

    async fn get(
        &self,
        caller: Option<Principal>,
        request: proto::GetRunRequest,
    ) -> Result<proto::GetRunResponse, Error> {
        let read = Operation::ReadRuns;
        let (_, id) = self.permit(caller.as_ref(), read, &request.run_id).await?;
        let row = self.0.runs.get(id).await?;
        Ok(proto::GetRunResponse {
            run: Some(encode(&row)?),
        })
    }

    async fn list(
        &self,
        caller: Option<Principal>,
        request: proto::ListRunsRequest,
    ) -> Result<proto::ListRunsResponse, Error> {
        let read = Operation::ReadRuns;
        let permit = self
            .0
            .permit_in(caller.as_ref(), read, &request.workspace_id)
            .await?;
        let page = Page::parse(RUNS, request.page_size, &request.page_token)?;
        let states: Vec<proto::RunState> = request.states().collect();
        let listed = self.0.database.list_runs(permit.workspace, &states, &page);
        let mut rows = listed.await?;
        let next_page_token = page.cut(&mut rows, |row| Keyset {
            time: row.create_time,
            id: row.id,
        });
        Ok(proto::ListRunsResponse {
            runs: rows.iter().map(encode).collect::<Result<_, _>>()?,
            next_page_token,
        })
    }

    async fn cancel(
        &self,
        caller: Option<Principal>,
        request: proto::CancelRunRequest,
    ) -> Result<proto::CancelRunResponse, Error> {
        let cancel = Operation::CancelRun;
        let (_, id) = self
            .permit(caller.as_ref(), cancel, &request.run_id)
            .await?;
        let row = self.0.runs.cancel(id).await?;
        Ok(proto::CancelRunResponse {
            run: Some(encode(&row)?),
        })
    }

    async fn apply(
        &self,
        caller: Option<Principal>,
        request: proto::ApplyRunRequest,
    ) -> Result<proto::ApplyRunResponse, Error> {
        let apply = Operation::ApplyRun;
        let (permit, id) = self.permit(caller.as_ref(), apply, &request.run_id).await?;
        if request.keep_paths.len() > MAX_KEPT {
            let message = format!("must be at most {MAX_KEPT}");
            return Err(Error::invalid("keep_paths", message));
        }
        let kept = request.keep_paths.iter();
        let kept: Vec<TreePath> = kept
            .map(|path| parse_path("keep_paths", path))
            .collect::<Result<_, _>>()?;
        let applied = self.0.runs.apply(id, permit.user_id(), kept).await?;
        let before = applied.before.map(|before| before.id.to_string());
        Ok(proto::ApplyRunResponse {
            run: Some(encode(&applied.run)?),
            before_snapshot_id: before.unwrap_or_default(),
        })
    }

    async fn administer(
        &self,
        caller: Option<&Principal>,
        operation: Operation,
    ) -> Result<Permit, Error> {
        let authority = &self.0.authority;
        authority.permit(caller, operation, Resource::Server).await
    }

    async fn create_token(
        &self,
        caller: Option<Principal>,
        request: proto::CreateRunnerTokenRequest,
    ) -> Result<proto::CreateRunnerTokenResponse, Error> {
        self.administer(caller.as_ref(), Operation::ManageRunnerTokens)
            .await?;
        let name = decode::name("name", &request.name, MAX_TITLE)?;
        let database = &self.0.database;
        let workspace = match request.workspace_id.as_str() {
            "" => None,
            id => {
                let id = WorkspaceId(decode::id(id, "workspace")?);
                let row = database.workspace_row(id).await?;
                row.ok_or(Error::NotFound("workspace"))?;
                Some(id)
            }
        };
        let now = self.0.clock.now();
        let (row, secret) = new_runner_token(database, name, workspace, now).await?;
        Ok(proto::CreateRunnerTokenResponse {
            runner_token: Some(encode_token(row)),
            secret,
        })
    }

    async fn list_tokens(
        &self,
        caller: Option<Principal>,
    ) -> Result<proto::ListRunnerTokensResponse, Error> {
        self.administer(caller.as_ref(), Operation::ListRunnerTokens)
            .await?;
        let rows = self.0.database.runner_tokens().await?;
        Ok(proto::ListRunnerTokensResponse {
            runner_tokens: rows.into_iter().map(encode_token).collect(),
        })
    }

    async fn delete_token(
        &self,
        caller: Option<Principal>,
        request: proto::DeleteRunnerTokenRequest,
    ) -> Result<proto::DeleteRunnerTokenResponse, Error> {
        self.administer(caller.as_ref(), Operation::ManageRunnerTokens)
            .await?;
        let id = RunnerTokenId(decode::id(&request.runner_token_id, "runner token")?);
        if !self.0.database.delete_runner_token(id).await? {
            return Err(Error::NotFound("runner token"));
        }
        Ok(proto::DeleteRunnerTokenResponse {})
    }
}

/// What runners do.
impl Service {
    async fn claim(
        &self,
        runner: Runner,
        request: proto::ClaimRunRequest,
    ) -> Result<proto::ClaimRunResponse, Error> {
        let claimant = Claimant {
            token: runner.token,
            workspace: runner.workspace,
            name: decode::name("runner_name", &request.runner_name, MAX_TITLE)?,
            labels: labels("labels", &request.labels)?,
        };
        let wait = wait(request.wait)?;
        let claimed = self.0.runs.claim(claimant, wait, &self.0.stopping).await?;
        let Some(claimed) = claimed else {
            return Ok(proto::ClaimRunResponse::default());
        };
        let row = claimed.run;
        Ok(proto::ClaimRunResponse {
            run: Some(encode(&row)?),
            lease: Some(proto::RunLease {
                run_id: row.id.to_string(),
                attempt: row.attempt,
                token: claimed.token,
            }),
            lease_expire_time: row.lease_expire_time.map(timestamp),
        })
    }

    async fn start(
        &self,
        runner: Runner,
        request: proto::StartRunRequest,
    ) -> Result<proto::StartRunResponse, Error> {
        let lease = held(runner, request.lease)?;
        let deadline = self.0.runs.start(&lease).await?;
        Ok(proto::StartRunResponse {
            deadline: Some(timestamp(deadline)),
        })
    }

    async fn heartbeat(
        &self,
        runner: Runner,
        request: proto::HeartbeatRunRequest,
    ) -> Result<proto::HeartbeatRunResponse, Error> {
        let lease = held(runner, request.lease)?;
        let row = self.0.runs.renew(&lease).await?;
        Ok(proto::HeartbeatRunResponse {
            lease_expire_time: Some(timestamp(self.0.clock.now() + LEASE)),
            cancel_requested: row.cancel_requested,
        })
    }

    async fn download(
        &self,
        runner: Runner,
        request: proto::DownloadRunBaseRequest,
    ) -> Result<<Self as RunService>::DownloadRunBaseStream, Error> {
        let lease = held(runner, request.lease)?;
        let chunks = self.0.runs.download(&lease).await?;
        Ok(Box::pin(chunks.map(|chunk| {
            let chunk = chunk?;
            Ok(proto::DownloadRunBaseResponse { chunk })
        })))
    }

    async fn append(
        &self,
        runner: Runner,
        request: proto::AppendRunEventsRequest,
    ) -> Result<proto::AppendRunEventsResponse, Error> {
        let lease = held(runner, request.lease)?;
        if request.first_number < 1 {
            return Err(Error::invalid("first_number", "must be at least 1"));
        }
        if request.events.len() > MAX_EVENTS {
            return Err(Error::invalid(
                "events",
                format!("must be at most {MAX_EVENTS}"),
            ));
        }
        for (index, event) in request.events.iter().enumerate() {
            check_event(index, event)?;
        }
        let runs = &self.0.runs;
        let last_number = runs
            .append(&lease, request.first_number, request.events)
            .await?;
        Ok(proto::AppendRunEventsResponse { last_number })
    }

    async fn upload(
        &self,
        runner: Runner,
        mut parts: Streaming<proto::UploadRunResultRequest>,
    ) -> Result<proto::UploadRunResultResponse, Error> {
        let first = next(&mut parts).await?.and_then(|message| message.part);
        let Some(UploadPart::Lease(lease)) = first else {
            let message = "must be the first message of the stream";
            return Err(Error::invalid("lease", message));
        };
        let lease = held(runner, Some(lease))?;
        // Before anything is taken from whoever lost it.
        self.0.runs.leased(&lease).await?;
        let mut receiving = Receiving::begin(&self.0)?;
        while let Some(message) = next(&mut parts).await? {
            let Some(UploadPart::Chunk(chunk)) = message.part else {
                return Err(Error::invalid("lease", "must be sent once"));
            };
            receiving.write(chunk).await?;
        }
        let result = self.0.runs.upload(&lease, receiving).await?;
        Ok(proto::UploadRunResultResponse {
            snapshot_id: result.id.to_string(),
        })
    }

    async fn finish(
        &self,
        runner: Runner,
        request: proto::FinishRunRequest,
    ) -> Result<proto::FinishRunResponse, Error> {
        let outcome = request.outcome();
        let lease = held(runner, request.lease)?;
        if request.message.chars().count() > MAX_MESSAGE {
            let message = format!("must have at most {MAX_MESSAGE} characters");
            return Err(Error::invalid("message", message));
        }
        let row = self.0.runs.finish(&lease, outcome, request.message).await?;
        Ok(proto::FinishRunResponse {
            run: Some(encode(&row)?),
        })
    }
}

/// The runner that calls.
fn runner<T>(request: &Request<T>) -> Result<Runner, Status> {
    let runner = request.extensions().get::<Runner>().copied();
    let missing = Error::Unauthenticated(
        "send a runner token as `authorization: Bearer <token>`; an administrator makes one",
    );
    runner.ok_or_else(|| missing.into())
}

fn held(runner: Runner, lease: Option<proto::RunLease>) -> Result<HeldLease, Error> {
    let lease = lease.ok_or_else(|| Error::invalid("lease", "is required"))?;
    Ok(HeldLease {
        run: RunId(decode::id(&lease.run_id, "run")?),
        attempt: lease.attempt,
        digest: digest_of(&lease.token),
        token: runner.token,
        workspace: runner.workspace,
    })
}

async fn next<T>(parts: &mut Streaming<T>) -> Result<Option<T>, Error> {
    parts.message().await.map_err(|_| Error::Cancelled)
}

fn wait(given: Option<prost_types::Duration>) -> Result<Duration, Error> {
    let wait = Duration::try_from(given.unwrap_or_default());
    wait.ok()
        .filter(|wait| *wait <= MAX_WAIT)
        .ok_or_else(|| Error::invalid("wait", "must be 0 to 30 seconds"))
}

/// A runner tells what it did, and not what others did.
fn check_event(index: usize, event: &proto::EventPayload) -> Result<(), Error> {
    let is_allowed = match &event.kind {
        Some(Kind::RunOutput(output)) => output.text.len() <= MAX_OUTPUT,
        Some(
            Kind::AgentText(_)
            | Kind::AgentThinking(_)
            | Kind::ToolCall(_)
            | Kind::ToolResult(_)
            | Kind::TodosUpdated(_)
            | Kind::ModelUsage(_)
            | Kind::ModelRetry(_)
            | Kind::Notice(_),
        ) => true,
        _ => false,
    };
    if is_allowed {
        return Ok(());
    }
    Err(Error::invalid(
        format!("events[{index}]"),
        "is not a runner's to tell, or has more than 64 KiB of output",
    ))
}

fn title(given: &str, prompt: &str) -> Result<String, Error> {
    if !given.trim().is_empty() {
        return decode::name("title", given, MAX_TITLE);
    }
    let line = prompt.trim().lines().next().unwrap_or_default();
    let words: String = line
        .chars()
        .filter(|one| !one.is_control())
        .take(FIRST_WORDS)
        .collect();
    Ok(words)
}

fn encode(row: &run::Model) -> Result<proto::Run, Error> {
    let states = [
        (ApplyState::Nothing, proto::ApplyState::Nothing),
        (ApplyState::Pending, proto::ApplyState::Pending),
        (ApplyState::Applied, proto::ApplyState::Applied),
    ];
    let apply = states
        .iter()
        .find(|(state, _)| state.word() == row.apply_state);
    let conflicting_paths = serde_json::from_str(&row.conflicts)
        .map_err(|error| Error::Internal(format!("conflicts can't be read: {error}")))?;
    let id = |id: Option<uuid::Uuid>| id.map_or_else(String::new, |id| id.to_string());
    Ok(proto::Run {
        id: row.id.to_string(),
        workspace_id: row.workspace_id.to_string(),
        user_id: id(row.user_id),
        title: row.title.clone(),
        spec: Some(Spec::encode(row)?),
        state: parse_state(&row.state).into(),
        attempt: row.attempt,
        runner_name: row.runner_name.clone(),
        reason: row.reason.clone(),
        message: row.message.clone(),
        create_time: Some(timestamp(row.create_time)),
        start_time: row.start_time.map(timestamp),
        end_time: row.end_time.map(timestamp),
        cancel_requested: row.cancel_requested,
        result_snapshot_id: id(row.result_snapshot_id),
        apply_state: apply
            .map_or(proto::ApplyState::Unspecified, |(_, state)| *state)
            .into(),
        conflicting_paths,
    })
}

fn encode_token(row: runner_token::Model) -> proto::RunnerToken {
    proto::RunnerToken {
        id: row.id.to_string(),
        name: row.name,
        workspace_id: row
            .workspace_id
            .map_or_else(String::new, |id| id.to_string()),
        create_time: Some(timestamp(row.create_time)),
        last_use_time: row.last_use_time.map(timestamp),
    }
}

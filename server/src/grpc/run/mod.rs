//! RunService: the methods of users, and those of runners.

use std::pin::Pin;

use futures::Stream;
use membrane_files::TreePath;
use membrane_proto::v1::{self as proto, run_service_server::RunService};
use tonic::{Request, Status, Streaming};

use super::{Answer, answer, decode, principal};
use crate::{
    authz::{Operation, Permit, Principal, Resource, Runner},
    credentials::new_runner_token,
    db::RequestKey,
    error::Error,
    files::parse_path,
    id::{RunId, RunnerTokenId, ScheduleId, SnapshotId, WorkspaceId},
    page::{Keyset, Page},
    runs::{NewRun, Spec},
    server::App,
    tasks::to_the_end,
};

mod files;
mod runner;
mod wire;

pub(super) use wire::encode;
use wire::encode_token;

/// Tag of page tokens.
const RUNS: u8 = 13;
/// Longest title in characters, and how much of a prompt stands for one.
const MAX_TITLE: usize = 100;
const FIRST_WORDS: usize = 60;
/// Most files that stay.
const MAX_KEPT: usize = 10_000;

pub struct Service(pub App);

type Parts<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl RunService for Service {
    type DownloadRunBaseStream = Parts<proto::DownloadRunBaseResponse>;
    type ReadRunManifestStream = Parts<proto::ReadRunManifestResponse>;
    type DownloadRunBlobsStream = Parts<proto::DownloadRunBlobsResponse>;

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

    async fn retry_run(
        &self,
        request: Request<proto::RetryRunRequest>,
    ) -> Answer<proto::RetryRunResponse> {
        let caller = principal(&request);
        answer(self.retry(caller, request.into_inner()).await)
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

    async fn read_run_manifest(
        &self,
        request: Request<proto::ReadRunManifestRequest>,
    ) -> Answer<Self::ReadRunManifestStream> {
        let runner = runner(&request)?;
        answer(self.manifest(runner, request.into_inner()).await)
    }

    async fn download_run_blobs(
        &self,
        request: Request<proto::DownloadRunBlobsRequest>,
    ) -> Answer<Self::DownloadRunBlobsStream> {
        let runner = runner(&request)?;
        answer(self.download_blobs(runner, request.into_inner()).await)
    }

    async fn find_missing_run_blobs(
        &self,
        request: Request<proto::FindMissingRunBlobsRequest>,
    ) -> Answer<proto::FindMissingRunBlobsResponse> {
        let runner = runner(&request)?;
        answer(self.missing_blobs(runner, request.into_inner()).await)
    }

    async fn upload_run_blobs(
        &self,
        request: Request<Streaming<proto::UploadRunBlobsRequest>>,
    ) -> Answer<proto::UploadRunBlobsResponse> {
        let runner = runner(&request)?;
        answer(self.upload_blobs(runner, request.into_inner()).await)
    }

    async fn commit_run_result(
        &self,
        request: Request<Streaming<proto::CommitRunResultRequest>>,
    ) -> Answer<proto::CommitRunResultResponse> {
        let runner = runner(&request)?;
        answer(self.commit_result(runner, request.into_inner()).await)
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

    pub(crate) async fn create(
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
            title: title("title", &request.title, &spec.prompt)?,
            applies: given.apply_mode() != proto::ApplyMode::Manual,
            spec,
            base,
            origin: None,
            retry_of: None,
            by_agent: permit.principal.is_agent(),
            key: RequestKey {
                user_id: permit.user_id(),
                request_id: decode::request_id(&request.request_id)?,
                method: "CreateRun",
            },
        };
        let settings = self.0.settings(permit.workspace).await?;
        let runs = self.0.runs.clone();
        let row = to_the_end(async move { runs.create(new, settings).await }).await?;
        Ok(proto::CreateRunResponse {
            run: Some(encode(&row)?),
        })
    }

    pub(crate) async fn get(
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

    pub(crate) async fn list(
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
        let schedule = match request.schedule_id.as_str() {
            "" => None,
            id => Some(ScheduleId(decode::id(id, "schedule")?)),
        };
        let database = &self.0.database;
        let listed = database.list_runs(permit.workspace, &states, schedule, &page);
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

    pub(crate) async fn cancel(
        &self,
        caller: Option<Principal>,
        request: proto::CancelRunRequest,
    ) -> Result<proto::CancelRunResponse, Error> {
        let cancel = Operation::CancelRun;
        let (_, id) = self
            .permit(caller.as_ref(), cancel, &request.run_id)
            .await?;
        let runs = self.0.runs.clone();
        let row = to_the_end(async move { runs.cancel(id).await }).await?;
        Ok(proto::CancelRunResponse {
            run: Some(encode(&row)?),
        })
    }

    async fn retry(
        &self,
        caller: Option<Principal>,
        request: proto::RetryRunRequest,
    ) -> Result<proto::RetryRunResponse, Error> {
        let create = Operation::CreateRun;
        let (permit, id) = self
            .permit(caller.as_ref(), create, &request.run_id)
            .await?;
        let user = permit.user_id();
        let key = RequestKey {
            user_id: user,
            request_id: decode::request_id(&request.request_id)?,
            method: "RetryRun",
        };
        let (runs, current_files) = (self.0.runs.clone(), request.current_files);
        let retrying = async move { runs.retry(id, current_files, user, key).await };
        let retried = to_the_end(retrying);
        Ok(proto::RetryRunResponse {
            run: Some(encode(&retried.await?)?),
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
        let (runs, user) = (self.0.runs.clone(), permit.user_id());
        let applied = to_the_end(async move { runs.apply(id, user, kept).await }).await?;
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

/// The runner that calls.
fn runner<T>(request: &Request<T>) -> Result<Runner, Status> {
    let runner = request.extensions().get::<Runner>().copied();
    let missing = Error::Unauthenticated(
        "send a runner token as `authorization: Bearer <token>`; an administrator makes one",
    );
    runner.ok_or_else(|| missing.into())
}

/// What a run or a schedule is called: what was given, or the first words of the prompt.
pub(super) fn title(field: &str, given: &str, prompt: &str) -> Result<String, Error> {
    if !given.trim().is_empty() {
        return decode::name(field, given, MAX_TITLE);
    }
    let line = prompt.trim().lines().next().unwrap_or_default();
    let mut letters = line.chars().filter(|one| !one.is_control());
    let mut words: String = letters.by_ref().take(FIRST_WORDS).collect();
    if letters.next().is_some() {
        words.push('…');
    }
    Ok(words)
}

//! What runners do.

use std::time::Duration;

use futures::StreamExt as _;
use membrane_proto::v1::{
    self as proto, event_payload::Kind, run_service_server::RunService,
    upload_run_result_request::Part as UploadPart,
};
use tonic::Streaming;

use super::{MAX_TITLE, Service, wire::encode};
use crate::{
    authz::Runner,
    credentials::digest_of,
    db::{Claimant, HeldLease},
    error::Error,
    grpc::decode,
    id::RunId,
    runs::{LEASE, labels},
    tasks::to_the_end,
    time::timestamp,
    uploads::Receiving,
};

/// Most events of one call.
const MAX_EVENTS: usize = 500;
/// Longest output of one event in bytes.
const MAX_OUTPUT: usize = 64 << 10;
/// Longest message of a runner in characters.
const MAX_MESSAGE: usize = 2_000;
const MAX_WAIT: Duration = Duration::from_secs(30);

impl Service {
    pub(super) async fn claim(
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

    pub(super) async fn start(
        &self,
        runner: Runner,
        request: proto::StartRunRequest,
    ) -> Result<proto::StartRunResponse, Error> {
        let lease = held(runner, request.lease)?;
        let runs = self.0.runs.clone();
        let starting = async move { runs.start(&lease).await };
        let deadline = to_the_end(starting).await?;
        Ok(proto::StartRunResponse {
            deadline: Some(timestamp(deadline)),
        })
    }

    pub(super) async fn heartbeat(
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

    pub(super) async fn download(
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

    pub(super) async fn append(
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
        let runs = self.0.runs.clone();
        let (first, events) = (request.first_number, request.events);
        let appending = async move { runs.append(&lease, first, events).await };
        let last_number = to_the_end(appending).await?;
        Ok(proto::AppendRunEventsResponse { last_number })
    }

    pub(super) async fn upload(
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
        let runs = self.0.runs.clone();
        let keeping = async move { runs.upload(&lease, receiving).await };
        let result = to_the_end(keeping).await?;
        Ok(proto::UploadRunResultResponse {
            snapshot_id: result.id.to_string(),
        })
    }

    pub(super) async fn finish(
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
        let runs = self.0.runs.clone();
        let message = request.message;
        let finishing = async move { runs.finish(&lease, outcome, message).await };
        let row = to_the_end(finishing).await?;
        Ok(proto::FinishRunResponse {
            run: Some(encode(&row)?),
        })
    }
}

pub(super) fn held(runner: Runner, lease: Option<proto::RunLease>) -> Result<HeldLease, Error> {
    let lease = lease.ok_or_else(|| Error::invalid("lease", "is required"))?;
    Ok(HeldLease {
        run: RunId(decode::id(&lease.run_id, "run")?),
        attempt: lease.attempt,
        digest: digest_of(&lease.token),
        token: runner.token,
        workspace: runner.workspace,
    })
}

pub(super) async fn next<T>(parts: &mut Streaming<T>) -> Result<Option<T>, Error> {
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
        // What programs inside ask is counted, and told of, by the server.
        Some(Kind::LimitMet(met)) => !met.inside,
        Some(
            Kind::AgentText(_)
            | Kind::AgentThinking(_)
            | Kind::ToolCall(_)
            | Kind::ToolResult(_)
            | Kind::TodosUpdated(_)
            | Kind::ModelUsage(_)
            | Kind::ModelRetry(_)
            | Kind::EgressDecision(_)
            | Kind::EgressTotals(_)
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

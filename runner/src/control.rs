//! The wire: the runner's methods of the Run service as functions, and what an error of them means for
//! whoever holds a lease.

use std::{collections::HashMap, future::Future, time::Duration};

use membrane_proto::v1::{
    AppendRunEventsRequest, ClaimRunRequest, ClaimRunResponse, CommitRunResultRequest,
    DownloadRunBlobsRequest, DownloadRunBlobsResponse, EventPayload, FindMissingRunBlobsRequest,
    FinishRunRequest, HeartbeatRunRequest, ReadRunManifestRequest, RunLease, RunOutcome,
    SnapshotEntry, SnapshotFile, StartRunRequest, UploadRunBlobsRequest,
    run_service_client::RunServiceClient,
};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tokio::time::{sleep, timeout};
use tokio_stream::Stream;
use tonic::{
    Code, Request, Response, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt as _;
use url::Url;

const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long an answer may take that the server has at hand.
const CALL_TIME: Duration = Duration::from_secs(20);
/// How long it may take to store what a run made.
const UPLOAD_TIME: Duration = Duration::from_mins(20);
/// Largest message that is taken, in bytes: a page of entries with long names.
const LARGEST_MESSAGE: usize = 32 << 20;
/// Reasons for which waiting is of no use.
const FULL: &[&str] = &["STORE_FULL", "BLOB_TOO_LARGE", "ARCHIVE_TOO_LARGE"];
/// Between two attempts to reach a server that does not answer.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// Why a call did not do what it should.
#[derive(Debug, Clone, Error)]
pub enum Failure {
    /// This runner has no right to it, or not any more.
    #[error("the lease is lost: {0}")]
    Lost(String),
    /// The server does not answer just now, or can't. What was asked may have happened.
    #[error("the server does not answer: {0}")]
    Away(String),
    /// It will not be done, however often it is asked for: the server refuses it, or this machine can't.
    #[error("it can't be done: {0}")]
    Refused(String),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            Code::NotFound | Code::PermissionDenied | Code::Unauthenticated => Self::Lost(message),
            Code::FailedPrecondition if has_reason(&status, &["STALE_LEASE"]) => {
                Self::Lost(message)
            }
            Code::ResourceExhausted if has_reason(&status, FULL) => Self::Refused(message),
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::ResourceExhausted
            | Code::Internal
            | Code::Aborted => Self::Away(message),
            _ => Self::Refused(message),
        }
    }
}

fn has_reason(status: &Status, reasons: &[&str]) -> bool {
    let info = status.get_details_error_info();
    info.is_some_and(|info| reasons.contains(&info.reason.as_str()))
}

/// Whether a server may be of a version that has no such method. It opens to runners only those that
/// it knows.
fn is_unknown(status: &Status) -> bool {
    matches!(status.code(), Code::Unimplemented | Code::PermissionDenied)
}

/// A connection to the server, made when it is needed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    client: RunServiceClient<InterceptedService<Channel, Bearer>>,
}

/// Adds the token to every call.
#[derive(Debug, Clone)]
struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Control {
    /// A connection to this server with this token, on the runtime that is here.
    ///
    /// # Errors
    /// [`Failure::Refused`] for what is no address or no token, or when TLS can't be set up.
    pub fn new(server: &Url, token: &SecretString) -> Result<Self, Failure> {
        let refused = |error: &dyn std::fmt::Display| Failure::Refused(error.to_string());
        let mut endpoint = Endpoint::from_shared(server.to_string())
            .map_err(|error| refused(&error))?
            .connect_timeout(CONNECT_TIME)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true);
        if server.scheme() == "https" {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(|error| refused(&error))?;
        }
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut bearer: MetadataValue<Ascii> = bearer
            .parse()
            .map_err(|_| Failure::Refused("the token is no token".to_owned()))?;
        bearer.set_sensitive(true);
        let client = RunServiceClient::with_interceptor(endpoint.connect_lazy(), Bearer(bearer))
            .max_decoding_message_size(LARGEST_MESSAGE);
        Ok(Self { client })
    }

    /// Claims a run, waiting for one as long as `wait`, at most 30 seconds.
    ///
    /// # Errors
    /// [`Failure`]; `Lost` if the token is not one of a runner any more.
    pub async fn claim(
        &self,
        name: &str,
        labels: &HashMap<String, String>,
        wait: Duration,
    ) -> Result<ClaimRunResponse, Failure> {
        let request = ClaimRunRequest {
            runner_name: name.to_owned(),
            labels: labels.clone(),
            wait: wait.try_into().ok(),
        };
        let mut client = self.client.clone();
        within(wait + CALL_TIME, client.claim_run(request)).await
    }

    /// Says that work begins.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn start(&self, lease: &RunLease) -> Result<(), Failure> {
        let request = StartRunRequest {
            lease: Some(lease.clone()),
        };
        let mut client = self.client.clone();
        within(CALL_TIME, client.start_run(request)).await.map(drop)
    }

    /// Renews a lease. Answers whether the run is to be cancelled.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn heartbeat(&self, lease: &RunLease) -> Result<bool, Failure> {
        let request = HeartbeatRunRequest {
            lease: Some(lease.clone()),
        };
        let mut client = self.client.clone();
        let answer = within(CALL_TIME, client.heartbeat_run(request)).await?;
        Ok(answer.cancel_requested)
    }

    /// What a run begins with.
    ///
    /// # Errors
    /// [`Failure`]; refused also by a server of a version that can't say so.
    pub async fn manifest(&self, lease: &RunLease) -> Result<Vec<SnapshotEntry>, Failure> {
        let request = ReadRunManifestRequest {
            lease: Some(lease.clone()),
        };
        let mut client = self.client.clone();
        let reading = async {
            let mut pages = match client.read_run_manifest(request).await {
                Err(status) if is_unknown(&status) => {
                    let why = "it is older than this runner, and has to be upgraded first";
                    return Err(Failure::Refused(why.to_owned()));
                }
                answer => answer?.into_inner(),
            };
            let mut entries = Vec::new();
            while let Some(page) = pages.message().await? {
                entries.extend(page.entries);
            }
            Ok(entries)
        };
        match timeout(UPLOAD_TIME, reading).await {
            Ok(read) => read,
            Err(_) => Err(Failure::Away("no answer in time".to_owned())),
        }
    }

    /// Contents of files that a run begins with, in parts.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn download_blobs(
        &self,
        lease: &RunLease,
        digests: Vec<String>,
    ) -> Result<Streaming<DownloadRunBlobsResponse>, Failure> {
        let request = DownloadRunBlobsRequest {
            lease: Some(lease.clone()),
            digests,
        };
        let mut client = self.client.clone();
        within(CALL_TIME, client.download_run_blobs(request)).await
    }

    /// Which of these contents the server lacks.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn missing_blobs(
        &self,
        lease: &RunLease,
        files: Vec<SnapshotFile>,
    ) -> Result<Vec<String>, Failure> {
        let request = FindMissingRunBlobsRequest {
            lease: Some(lease.clone()),
            files,
        };
        let mut client = self.client.clone();
        // The server may have to bring some back from far away.
        let answer = within(UPLOAD_TIME, client.find_missing_run_blobs(request)).await?;
        Ok(answer.digests)
    }

    /// Sends contents: the lease, and then each with its digest first.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn upload_blobs(
        &self,
        parts: impl Stream<Item = UploadRunBlobsRequest> + Send + 'static,
    ) -> Result<(), Failure> {
        let mut client = self.client.clone();
        let sent = within(UPLOAD_TIME, client.upload_run_blobs(parts));
        sent.await.map(drop)
    }

    /// Says what a run made: its lease, and then entries whose contents the server has.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn commit_result(
        &self,
        parts: impl Stream<Item = CommitRunResultRequest> + Send + 'static,
    ) -> Result<(), Failure> {
        let mut client = self.client.clone();
        let sent = within(UPLOAD_TIME, client.commit_run_result(parts));
        sent.await.map(drop)
    }

    /// Adds to the run's log. Answers the number up to which everything is stored.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn append(
        &self,
        lease: &RunLease,
        first_number: i64,
        events: Vec<EventPayload>,
    ) -> Result<i64, Failure> {
        let request = AppendRunEventsRequest {
            lease: Some(lease.clone()),
            first_number,
            events,
        };
        let mut client = self.client.clone();
        let answer = within(CALL_TIME, client.append_run_events(request)).await?;
        Ok(answer.last_number)
    }

    /// Ends an attempt.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn finish(
        &self,
        lease: &RunLease,
        outcome: RunOutcome,
        message: &str,
    ) -> Result<(), Failure> {
        let request = FinishRunRequest {
            lease: Some(lease.clone()),
            outcome: outcome.into(),
            message: message.to_owned(),
        };
        let mut client = self.client.clone();
        within(UPLOAD_TIME, client.finish_run(request))
            .await
            .map(drop)
    }
}

/// A connection of its own for each call would be slow; an answer that never comes, worse.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    match timeout(limit, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Failure::Away("no answer in time".to_owned())),
    }
}

/// Calls again and again until the server answers, however long that takes. What is called must do
/// the same whether it is done once or twice.
///
/// # Errors
/// [`Failure::Lost`] or [`Failure::Refused`].
pub async fn persist<T, F>(mut call: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut pauses = PAUSES.into_iter();
    let mut pause = PAUSES[0];
    loop {
        match call().await {
            Err(Failure::Away(why)) => tracing::debug!(why, "trying again"),
            other => return other,
        }
        pause = pauses.next().unwrap_or(pause);
        sleep(pause).await;
    }
}

//! The one file that knows how calls travel: over grpc-web in the browser, in-process while a page
//! is rendered on the server. Everything else uses the generated clients from here, [`ApiError`]
//! and [`Wire`].

use std::future::Future;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use membrane_proto::v1::{
    account_service_client::AccountServiceClient, activity_service_client::ActivityServiceClient,
    change_service_client::ChangeServiceClient, event_service_client::EventServiceClient,
    file_service_client::FileServiceClient, run_service_client::RunServiceClient,
    schedule_service_client::ScheduleServiceClient, secret_service_client::SecretServiceClient,
    session_service_client::SessionServiceClient, snapshot_service_client::SnapshotServiceClient,
    workspace_service_client::WorkspaceServiceClient,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tonic_types::StatusExt as _;

#[cfg(feature = "ssr")]
pub use transport::InProcess;
pub use transport::Transport;

/// The header that names an answer in the server's log.
const REQUEST_ID: &str = "x-request-id";

/// Largest answer that is accepted, in bytes: a page of events may carry images.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Accounts and API tokens.
pub fn accounts() -> AccountServiceClient<Transport> {
    AccountServiceClient::new(transport::open())
}

/// What happened at the boundary of workspaces.
pub fn activity() -> ActivityServiceClient<Transport> {
    ActivityServiceClient::new(transport::open())
}

/// What changed in files.
pub fn changes() -> ChangeServiceClient<Transport> {
    ChangeServiceClient::new(transport::open()).max_decoding_message_size(MAX_ANSWER_BYTES)
}

/// The event log.
pub fn events() -> EventServiceClient<Transport> {
    EventServiceClient::new(transport::open()).max_decoding_message_size(MAX_ANSWER_BYTES)
}

/// Files of a workspace.
pub fn files() -> FileServiceClient<Transport> {
    FileServiceClient::new(transport::open()).max_decoding_message_size(MAX_ANSWER_BYTES)
}

/// Jobs for runners.
pub fn runs() -> RunServiceClient<Transport> {
    RunServiceClient::new(transport::open())
}

/// What queues runs by the clock.
pub fn schedules() -> ScheduleServiceClient<Transport> {
    ScheduleServiceClient::new(transport::open())
}

/// The caller's secrets.
pub fn secrets() -> SecretServiceClient<Transport> {
    SecretServiceClient::new(transport::open())
}

/// Live sessions.
pub fn sessions() -> SessionServiceClient<Transport> {
    SessionServiceClient::new(transport::open())
}

/// Pictures of a workspace's files.
pub fn snapshots() -> SnapshotServiceClient<Transport> {
    SnapshotServiceClient::new(transport::open())
}

/// Workspaces, their settings and their keys.
pub fn workspaces() -> WorkspaceServiceClient<Transport> {
    WorkspaceServiceClient::new(transport::open())
}

/// A message that can travel inside the page, so that hydration starts with what was rendered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wire<T>(pub T);

impl<T: prost::Message> Serialize for Wire<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(self.0.encode_to_vec()))
    }
}

impl<'de, T: prost::Message + Default> Deserialize<'de> for Wire<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text).map_err(D::Error::custom)?;
        T::decode(bytes.as_slice())
            .map(Self)
            .map_err(D::Error::custom)
    }
}

/// A field of a request that the server did not accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldViolation {
    /// Its path, as in the proto file.
    pub field: String,
    /// What is wrong with it, in a sentence.
    pub description: String,
}

/// Why a call failed, in a form that can be shown and can travel inside the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// The gRPC status code as a number.
    pub code: i32,
    /// The stable word of the error; `UNREACHABLE` when no answer came at all.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// The fields that were refused, if that is why.
    pub field_violations: Vec<FieldViolation>,
    /// Names this one answer in the server's log; empty if the server gave no name.
    pub request_id: String,
}

impl ApiError {
    /// Whether the caller is not signed in, or no longer.
    pub fn is_unauthenticated(&self) -> bool {
        self.code == tonic::Code::Unauthenticated as i32
    }

    /// Whether the thing does not exist for this caller.
    pub fn is_not_found(&self) -> bool {
        self.code == tonic::Code::NotFound as i32
    }

    /// Whether the thing is no longer the one that the caller has seen.
    pub fn is_outdated(&self) -> bool {
        self.code == tonic::Code::Aborted as i32 || self.code == tonic::Code::AlreadyExists as i32
    }

    /// Whether trying again later may help without any change.
    pub fn is_transient(&self) -> bool {
        self.reason == "UNREACHABLE"
            || self.code == tonic::Code::Unavailable as i32
            || self.code == tonic::Code::DeadlineExceeded as i32
            || self.code == tonic::Code::ResourceExhausted as i32
    }

    /// What is wrong with one field, if the server said so.
    pub fn violation(&self, field: &str) -> Option<&str> {
        self.field_violations
            .iter()
            .find(|violation| violation.field == field)
            .map(|violation| violation.description.as_str())
    }

    /// An error for an answer that lacks a message the contract promises.
    pub fn incomplete() -> Self {
        Self::local(
            "INCOMPLETE_ANSWER",
            "The server's answer lacks a part. Reload the page.",
        )
    }

    /// An error that arose here and not on the server.
    pub fn local(reason: &str, message: &str) -> Self {
        Self {
            code: tonic::Code::Unknown as i32,
            reason: reason.to_owned(),
            message: message.to_owned(),
            field_violations: Vec::new(),
            request_id: String::new(),
        }
    }

    /// What to quote when asking somebody about it.
    pub fn quote(&self) -> String {
        let word = if self.reason.is_empty() {
            "ERROR"
        } else {
            &self.reason
        };
        match self.request_id.as_str() {
            "" => format!("{word}-{}", self.code),
            id => format!("{word} {id}"),
        }
    }
}

impl From<tonic::Status> for ApiError {
    fn from(status: tonic::Status) -> Self {
        // Only a failed transport leaves a source: no status came from the server.
        if std::error::Error::source(&status).is_some() {
            return Self::local(
                "UNREACHABLE",
                "The server could not be reached. Check the connection and try again.",
            );
        }
        let (reason, mut metadata) = status
            .get_details_error_info()
            .map(|info| (info.reason, info.metadata))
            .unwrap_or_default();
        let named = status
            .metadata()
            .get(REQUEST_ID)
            .and_then(|id| id.to_str().ok());
        let violations = status.get_details_bad_request();
        Self {
            code: status.code() as i32,
            request_id: named
                .map(str::to_owned)
                .or_else(|| metadata.remove("request_id"))
                .unwrap_or_default(),
            reason,
            message: status.message().to_owned(),
            field_violations: violations
                .map(|bad| bad.field_violations)
                .unwrap_or_default()
                .into_iter()
                .map(|violation| FieldViolation {
                    field: violation.field,
                    description: violation.description,
                })
                .collect(),
        }
    }
}

/// The answer of a call whose value travels inside the page.
pub type Reply<T> = Result<Wire<T>, ApiError>;

/// A call whose answer travels inside the page, in the form that resources need.
#[cfg(feature = "hydrate")]
pub fn load<T>(
    call: impl Future<Output = Result<T, ApiError>>,
) -> impl Future<Output = Reply<T>> + Send {
    fit(async move { call.await.map(Wire) })
}

/// A call whose answer travels inside the page, in the form that resources need.
#[cfg(not(feature = "hydrate"))]
pub async fn load<T>(call: impl Future<Output = Result<T, ApiError>> + Send) -> Reply<T> {
    call.await.map(Wire)
}

/// Makes a future fit for a resource. In the browser it can't leave its thread, and there is only
/// one.
#[cfg(feature = "hydrate")]
pub fn fit<T>(future: impl Future<Output = T>) -> impl Future<Output = T> + Send {
    send_wrapper::SendWrapper::new(future)
}

/// Makes a future fit for a resource.
#[cfg(not(feature = "hydrate"))]
pub fn fit<T>(future: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
    future
}

/// A request that ends after a time, whatever it has come to by then.
pub fn bounded<T>(message: T, time: std::time::Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(time);
    request
}

/// The id of the request for the page that is being rendered; empty in the browser.
pub fn page_id() -> String {
    #[cfg(feature = "ssr")]
    return transport::page_id();
    #[cfg(not(feature = "ssr"))]
    String::new()
}

/// Sets the HTTP status of the page that is being rendered; does nothing in the browser.
pub fn set_page_status(status: u16) {
    #[cfg(feature = "ssr")]
    if let (Some(options), Ok(status)) = (
        leptos::context::use_context::<leptos_axum::ResponseOptions>(),
        http::StatusCode::from_u16(status),
    ) {
        options.set_status(status);
    }
    #[cfg(not(feature = "ssr"))]
    let _ = status;
}

#[cfg(feature = "hydrate")]
mod transport {
    //! grpc-web to the origin that served the page; the browser adds the cookie.

    /// How calls travel.
    pub type Transport = tonic_web_wasm_client::Client;

    /// A transport to the origin of this page.
    pub(super) fn open() -> Transport {
        let origin = leptos::prelude::window().location().origin();
        Transport::new(origin.unwrap_or_default())
    }
}

#[cfg(not(any(feature = "ssr", feature = "hydrate")))]
mod transport {
    //! Nowhere: what is pure here can be built and tested without a server or a browser.

    use std::{
        future::{Ready, ready},
        task::{Context, Poll},
    };

    use tonic::{
        Status,
        body::Body,
        codegen::{Service, http},
    };

    /// How calls travel.
    #[derive(Clone, Debug)]
    pub struct Transport;

    /// A transport that refuses every call.
    pub(super) fn open() -> Transport {
        Transport
    }

    impl Service<http::Request<Body>> for Transport {
        type Response = http::Response<Body>;
        type Error = Status;
        type Future = Ready<Result<Self::Response, Status>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<Body>) -> Self::Future {
            ready(Err(Status::unavailable("Built without a transport.")))
        }
    }
}

#[cfg(feature = "ssr")]
mod transport {
    //! Straight into the services of this process, as the caller of the page.

    use std::task::{Context, Poll};

    use futures::{FutureExt as _, future::BoxFuture};
    use http::{HeaderMap, HeaderValue, Request, Response};
    use leptos::context::use_context;
    use tonic::{Status, body::Body, codegen::Service, service::Routes};

    /// What the server puts into the context of every page request.
    #[derive(Clone, Debug)]
    pub struct InProcess {
        /// The services.
        pub routes: Routes,
        /// Headers that say who asks; added to every call.
        pub headers: HeaderMap,
        /// The id of the page's request; added to every answer.
        pub request_id: Option<HeaderValue>,
    }

    /// The id of the page's request; empty if it has none.
    pub fn page_id() -> String {
        let page = use_context::<InProcess>();
        let id = page.and_then(|page| page.request_id);
        id.and_then(|id| id.to_str().map(str::to_owned).ok())
            .unwrap_or_default()
    }

    /// How calls travel.
    #[derive(Clone, Debug)]
    pub struct Transport(Option<InProcess>);

    /// Takes the services from the context, so it must be called inside an owner.
    pub(super) fn open() -> Transport {
        Transport(use_context())
    }

    impl Service<Request<Body>> for Transport {
        type Response = Response<Body>;
        type Error = Status;
        type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, mut request: Request<Body>) -> Self::Future {
            let Some(InProcess {
                mut routes,
                headers,
                request_id,
            }) = self.0.clone()
            else {
                let refusal = Status::unavailable("The page was rendered without its services.");
                return async move { Err(refusal) }.boxed();
            };
            request.headers_mut().extend(headers);
            async move {
                let answer = routes.call(request).await;
                let mut answer = answer.unwrap_or_else(|never| match never {});
                if let Some(id) = request_id {
                    answer.headers_mut().insert(super::REQUEST_ID, id);
                }
                Ok(answer)
            }
            .boxed()
        }
    }
}

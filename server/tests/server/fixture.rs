//! A server of its own for each test, and callers of every kind.

use std::{net::SocketAddr, path::Path, time::Duration};

use membrane_agent::redact::Redactor;
use membrane_proto::v1::{
    self as proto, account_service_client::AccountServiceClient,
    activity_service_client::ActivityServiceClient, change_service_client::ChangeServiceClient,
    event_service_client::EventServiceClient, file_service_client::FileServiceClient,
    run_service_client::RunServiceClient, schedule_service_client::ScheduleServiceClient,
    secret_service_client::SecretServiceClient, session_service_client::SessionServiceClient,
    snapshot_service_client::SnapshotServiceClient,
    workspace_service_client::WorkspaceServiceClient,
};
use membrane_server::{
    authz::Role,
    clock::Clock,
    config::Config,
    credentials::new_api_token,
    id::{UserId, WorkspaceId},
    server::{App, Server},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use crate::storage;

/// No wait in a test is longer.
pub const CAP: Duration = Duration::from_secs(60);

/// A running server.
pub struct TestServer {
    pub app: App,
    pub address: SocketAddr,
    pub channel: Channel,
    pub directory: TempDir,
    stop: DropGuard,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl TestServer {
    /// A server with an empty directory.
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary directory")).await
    }

    /// A server with an empty directory that is configured differently.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::start_as(directory, change).await
    }

    /// A server with the embedded database, whatever the other tests have.
    pub async fn start_embedded() -> Self {
        Self::start_with(|config| {
            config.database_url = None;
            config.master_keys = None;
        })
        .await
    }

    /// A server with what an earlier one left.
    pub async fn start_in(directory: TempDir) -> Self {
        Self::start_as(directory, |_| ()).await
    }

    async fn start_as(directory: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut config = Config::for_directory(directory.path(), address).expect("a configuration");
        config.sandbox.inside = Some(env!("CARGO_BIN_EXE_membrane").into());
        config.egress_allow_private = vec!["127.0.0.1".parse().expect("a rule")];
        storage::configure(&mut config);
        change(&mut config);
        let server = Server::start(config, Clock::system(), Redactor::default())
            .await
            .expect("a server");
        let app = server.app.clone();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(listener, stop.clone()));
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .expect("an endpoint")
            .connect_lazy();
        Self {
            app,
            address,
            channel,
            directory,
            stop: stop.drop_guard(),
            serving,
        }
    }

    /// Stops it as a signal would, and hands out its directory.
    pub async fn stop(self) -> TempDir {
        drop(self.stop);
        let served = tokio::time::timeout(CAP, self.serving)
            .await
            .expect("it stops");
        served.expect("no panic").expect("no error");
        self.directory
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A new user with an API token.
    pub async fn user(&self, name: &str) -> Caller {
        self.make_user(name, false).await
    }

    /// A new administrator with an API token.
    pub async fn administrator(&self, name: &str) -> Caller {
        self.make_user(name, true).await
    }

    async fn make_user(&self, name: &str, administrator: bool) -> Caller {
        let now = self.app.clock.now();
        let row = self
            .app
            .database
            .create_user(name, administrator, now)
            .await
            .expect("a user");
        let id = UserId(row.id);
        let (_, token) = new_api_token(&self.app.database, id, "test".to_owned(), 0, now)
            .await
            .expect("a token");
        Caller::new(
            id,
            Some(format!("Bearer {token}")),
            None,
            self.channel.clone(),
        )
    }

    /// The same user, signed in with a browser.
    pub async fn in_browser(&self, user: &Caller) -> Caller {
        use secrecy::ExposeSecret as _;
        let link = self
            .app
            .authenticator
            .create_login_token(user.id)
            .await
            .expect("a link");
        let set_cookie = self
            .app
            .authenticator
            .exchange(link.expose_secret())
            .await
            .expect("a cookie");
        let cookie = set_cookie.split(';').next().expect("a value").to_owned();
        Caller::new(user.id, None, Some(cookie), self.channel.clone())
    }

    pub async fn set_role(&self, workspace: &str, user: &Caller, role: Role) {
        let workspace = WorkspaceId(Uuid::parse_str(workspace).expect("an id"));
        let now = self.app.clock.now();
        self.app
            .database
            .set_member(workspace, user.id, role, now)
            .await
            .expect("a member");
    }

    /// Everything below the data directory that belongs to workspaces.
    pub fn workspaces(&self) -> Vec<String> {
        names_in(&self.directory.path().join("workspaces"))
    }
}

pub fn names_in(directory: &Path) -> Vec<String> {
    std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !name.starts_with('.'))
        .collect()
}

/// Somebody who calls.
#[derive(Clone)]
pub struct Caller {
    pub id: UserId,
    credentials: Credentials,
    channel: Channel,
}

#[derive(Clone)]
pub struct Credentials {
    authorization: Option<String>,
    cookie: Option<String>,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let headers = [
            ("authorization", &self.authorization),
            ("cookie", &self.cookie),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                let value = MetadataValue::try_from(value).expect("a header value");
                request.metadata_mut().insert(name, value);
            }
        }
        Ok(request)
    }
}

pub type Intercepted = InterceptedService<Channel, Credentials>;

impl Caller {
    fn new(
        id: UserId,
        authorization: Option<String>,
        cookie: Option<String>,
        channel: Channel,
    ) -> Self {
        Self {
            id,
            credentials: Credentials {
                authorization,
                cookie,
            },
            channel,
        }
    }

    /// The same caller, at another server of the same database.
    pub fn at(&self, server: &TestServer) -> Self {
        Self {
            channel: server.channel.clone(),
            ..self.clone()
        }
    }

    /// Somebody with this authorization header, or none.
    pub fn stranger(channel: &Channel, authorization: Option<&str>) -> Self {
        Self::new(
            UserId(Uuid::nil()),
            authorization.map(str::to_owned),
            None,
            channel.clone(),
        )
    }

    pub fn service(&self) -> Intercepted {
        InterceptedService::new(self.channel.clone(), self.credentials.clone())
    }

    pub fn authorization(&self) -> Option<&str> {
        self.credentials.authorization.as_deref()
    }

    pub fn cookie(&self) -> Option<&str> {
        self.credentials.cookie.as_deref()
    }

    pub fn accounts(&self) -> AccountServiceClient<Intercepted> {
        AccountServiceClient::new(self.service())
    }

    pub fn activity(&self) -> ActivityServiceClient<Intercepted> {
        ActivityServiceClient::new(self.service())
    }

    pub fn workspaces(&self) -> WorkspaceServiceClient<Intercepted> {
        WorkspaceServiceClient::new(self.service())
    }

    pub fn secrets(&self) -> SecretServiceClient<Intercepted> {
        SecretServiceClient::new(self.service())
    }

    pub fn sessions(&self) -> SessionServiceClient<Intercepted> {
        SessionServiceClient::new(self.service())
    }

    pub fn changes(&self) -> ChangeServiceClient<Intercepted> {
        ChangeServiceClient::new(self.service())
    }

    pub fn runs(&self) -> RunServiceClient<Intercepted> {
        RunServiceClient::new(self.service())
    }

    pub fn schedules(&self) -> ScheduleServiceClient<Intercepted> {
        ScheduleServiceClient::new(self.service())
    }

    pub fn snapshots(&self) -> SnapshotServiceClient<Intercepted> {
        SnapshotServiceClient::new(self.service())
    }

    pub fn events(&self) -> EventServiceClient<Intercepted> {
        EventServiceClient::new(self.service())
    }

    pub fn files(&self) -> FileServiceClient<Intercepted> {
        FileServiceClient::new(self.service())
    }

    /// A new workspace with the demo provider.
    pub async fn new_workspace(&self) -> String {
        let request = proto::CreateWorkspaceRequest {
            name: "a workspace".to_owned(),
            ..Default::default()
        };
        let answer = self
            .workspaces()
            .create_workspace(request)
            .await
            .expect("a workspace");
        answer.into_inner().workspace.expect("a workspace").id
    }

    /// A new session.
    pub async fn new_session(&self, workspace: &str) -> String {
        let request = proto::CreateSessionRequest {
            workspace_id: workspace.to_owned(),
            ..Default::default()
        };
        let answer = self
            .sessions()
            .create_session(request)
            .await
            .expect("a session");
        answer.into_inner().session.expect("a session").id
    }

    pub async fn say(
        &self,
        session: &str,
        text: &str,
    ) -> Result<proto::SendMessageResponse, Status> {
        let request = proto::SendMessageRequest {
            session_id: session.to_owned(),
            text: text.to_owned(),
            ..Default::default()
        };
        Ok(self.sessions().send_message(request).await?.into_inner())
    }

    /// Everything stored of a session.
    pub async fn history(&self, session: &str) -> Vec<proto::Event> {
        let request = proto::ListEventsRequest {
            stream: format!("sessions/{session}"),
            page_size: 1_000,
            ..Default::default()
        };
        let answer = self.events().list_events(request).await.expect("events");
        answer.into_inner().events
    }

    /// Watches a session until an event satisfies `wanted`, and answers it.
    pub async fn until(
        &self,
        session: &str,
        mut wanted: impl FnMut(&proto::event_payload::Kind) -> bool,
    ) -> proto::Event {
        let request = proto::WatchRequest {
            cursors: vec![proto::StreamCursor {
                stream: format!("sessions/{session}"),
                after_sequence: 0,
            }],
            ..Default::default()
        };
        let mut stream = self
            .events()
            .watch(request)
            .await
            .expect("a watch")
            .into_inner();
        let found = async {
            loop {
                let message = stream.message().await.expect("no error").expect("no end");
                let Some(proto::watch_response::Kind::Event(event)) = message.kind else {
                    continue;
                };
                let kind = event
                    .payload
                    .as_ref()
                    .and_then(|payload| payload.kind.as_ref());
                if kind.is_some_and(&mut wanted) {
                    return event;
                }
            }
        };
        tokio::time::timeout(CAP, found)
            .await
            .expect("the event comes")
    }

    /// Waits for the end of a session's `number`-th turn.
    pub async fn until_turn_ended(&self, session: &str, number: usize) -> proto::TurnEnded {
        let mut seen = 0;
        let event = self
            .until(session, |kind| {
                seen += usize::from(matches!(kind, proto::event_payload::Kind::TurnEnded(_)));
                seen == number
            })
            .await;
        match event.payload.and_then(|payload| payload.kind) {
            Some(proto::event_payload::Kind::TurnEnded(ended)) => ended,
            other => panic!("not an end: {other:?}"),
        }
    }

    /// Lets a workspace's agent do everything without asking.
    pub async fn bypass_permissions(&self, workspace: &str) {
        let request = proto::UpdateWorkspaceRequest {
            workspace: Some(proto::Workspace {
                id: workspace.to_owned(),
                settings: Some(proto::WorkspaceSettings {
                    permission_mode: proto::PermissionMode::BypassPermissions.into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["settings.permission_mode".to_owned()],
            }),
            ..Default::default()
        };
        self.workspaces()
            .update_workspace(request)
            .await
            .expect("an update");
    }
}

/// The reason in a status's ErrorInfo.
pub fn reason(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    status
        .get_details_error_info()
        .expect("an ErrorInfo")
        .reason
}

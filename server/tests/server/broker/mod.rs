//! The broker alone, at a port of this machine: what goes out, what comes back, who is let in, and
//! what is counted. That it stands inside a sandbox is tested in `inside`.

mod counting;
mod inside;
mod passing;
mod refusing;

use std::{net::SocketAddr, sync::Arc};

use membrane_agent::{
    egress::EgressGuard,
    meter::{Limits, Meter},
    model::{ModelClient, ModelConfig, Provider},
    sandbox::OpenDoor,
};
use membrane_proto::v1::{InsideRequest, Usage, event_payload::Kind};
use membrane_scripted::{Handle, Recorded, Scenario};
use membrane_server::{
    broker::{Account, Broker, Commission},
    id::{SessionId, TurnId, WorkspaceId},
    settings::Settings,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    fixture::TestServer,
    providers::{KEY, model},
};

/// A broker at work, and the model behind it.
pub struct Stand {
    pub server: TestServer,
    pub model: Handle,
    pub broker: Arc<Broker>,
    pub meter: Meter,
    pub session: SessionId,
    pub url: String,
    pub token: String,
    _serving: AbortOnDropHandle<()>,
}

impl Stand {
    pub async fn new(scenario: Scenario) -> Self {
        Self::with(scenario, Limits::default(), |_| {}).await
    }

    pub async fn with(
        scenario: Scenario,
        limits: Limits,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let model = model(scenario).await;
        let base_url = model.base_url();
        Self::before(model, &base_url, limits, change).await
    }

    /// In front of a provider of another kind.
    pub async fn before(
        model: Handle,
        base_url: &str,
        limits: Limits,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let server = TestServer::start().await;
        let meter = Meter::new(limits, Usage::default());
        let mut settings = Settings::default();
        change(&mut settings);
        let session = SessionId::new();
        let redactions = &server.app.redactions;
        let redaction = redactions.in_workspace(WorkspaceId::new()).await;
        let redaction = redaction.expect("what masks a workspace that nobody is in");
        let broker = Broker::new(Commission {
            account: Account::Turn(session, TurnId::new()),
            model: Arc::new(client(base_url)),
            meter: meter.clone(),
            settings,
            log: server.app.log.clone(),
            redaction,
        })
        .expect("a broker");
        let (address, serving) = serve(&broker).await;
        let environment = broker.environment(address.port());
        let value = |name| {
            let found = environment.iter().find(|(one, _)| one == name);
            found.expect("a variable").1.clone()
        };
        Self {
            url: value("ANTHROPIC_BASE_URL"),
            token: value("ANTHROPIC_API_KEY"),
            server,
            model,
            broker,
            meter,
            session,
            _serving: serving,
        }
    }

    pub fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = reqwest::Client::new().post(format!("{}{path}", self.url));
        request.header("x-api-key", &self.token).json(body)
    }

    /// Asks, and answers the status and the body.
    pub async fn ask(&self, body: &Value) -> (u16, Value) {
        answer(self.post("/v1/messages", body)).await
    }

    /// What was told of in the session's log.
    pub async fn told(&self) -> Vec<Kind> {
        let stream = self.session.stream();
        let database = &self.server.app.database;
        let events = database.all_events_after(&stream, 0).await.expect("events");
        let kinds = events.into_iter().map(|event| event.payload?.kind);
        kinds.flatten().collect()
    }

    /// The requests from inside that were told of.
    pub async fn requests(&self) -> Vec<InsideRequest> {
        let told = self.told().await.into_iter();
        told.filter_map(|kind| match kind {
            Kind::InsideRequest(request) => Some(request),
            _ => None,
        })
        .collect()
    }

    /// What came to the model.
    pub fn arrived(&self) -> Vec<Recorded> {
        self.model.requests()
    }
}

fn client(base_url: &str) -> ModelClient {
    let guard = EgressGuard::new(vec!["127.0.0.1".parse().expect("a rule")]);
    let config = ModelConfig::new(Provider::Custom, KEY.into(), guard);
    ModelClient::new(config.with_base_url(base_url)).expect("a client")
}

async fn serve(broker: &Arc<Broker>) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let open = OpenDoor {
        listener,
        tool_call_id: "a-call".to_owned(),
        closing: CancellationToken::new(),
    };
    let serving = tokio::spawn(broker.door().keeper.serve(open));
    (address, AbortOnDropHandle::new(serving))
}

/// The status and the body of an answer.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

/// A small request.
pub fn hello(model: &str) -> Value {
    json!({
        "model": model,
        "max_tokens": 100,
        "messages": [{ "role": "user", "content": "Hello" }],
    })
}

pub fn streamed(model: &str) -> Value {
    let mut body = hello(model);
    body["stream"] = true.into();
    body
}

/// Type and message of an error in the form of the Messages API.
pub fn error(body: &Value) -> (&str, &str) {
    assert_eq!(body["type"], "error", "{body}");
    let text = |name| body["error"][name].as_str().expect("text");
    (text("type"), text("message"))
}

//! How a server is reached, and the connection to one. A server that is to be reached in yet another
//! way is another [`Transport`].

use std::time::Duration;

use rmcp::{
    ClientServiceExt as _, RoleClient,
    model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion, Tool},
    service::{ClientInitializeError, ClientLifecycleMode, RunningService, ServiceError},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tokio::{io::DuplexStream, time::timeout};

use super::names::tool_name;
use crate::egress::{ClientLimits, Denied, EgressGuard};

/// How long connecting and listing the tools may take together.
const CONNECT_TIME: Duration = Duration::from_secs(20);
/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_mins(2);

/// A server whose tools an agent may be offered.
#[derive(Debug)]
pub struct McpServer {
    /// What the names of its tools begin with, after `mcp__`: letters, digits, `-` and `_`.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
}

/// How a server is reached.
#[derive(Debug)]
pub enum Transport {
    /// In this process: it is served at the other end.
    InProcess(DuplexStream),
    /// By streamable HTTP.
    Http {
        /// Its address.
        url: String,
        /// What proves who asks, as a bearer token.
        token: SecretString,
        /// What may be reached.
        guard: EgressGuard,
    },
}

/// A server could not be connected to.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Its address may not be reached.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no client: TLS could not be set up.
    #[error("there is no client")]
    Client(#[from] reqwest::Error),
    /// It does not answer as a server does.
    #[error("it does not answer as a server does")]
    Handshake(#[source] Box<ClientInitializeError>),
    /// It does not tell its tools.
    #[error("it does not tell its tools")]
    List(#[source] Box<ServiceError>),
    /// It takes too long.
    #[error("it did not answer in time")]
    Timeout,
}

/// A server that answers.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Its name.
    pub(super) name: String,
    /// What calls go through.
    pub(super) service: RunningService<RoleClient, ClientConfig>,
    /// The tools that it had when the turn began.
    pub(super) tools: Vec<Tool>,
}

impl Connection {
    /// Connects, and lists the tools.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub(crate) async fn open(server: McpServer) -> Result<Self, ConnectError> {
        let opening = timeout(CONNECT_TIME, Self::begin(server));
        opening.await.unwrap_or(Err(ConnectError::Timeout))
    }

    async fn begin(server: McpServer) -> Result<Self, ConnectError> {
        let service = match server.transport {
            Transport::InProcess(pipe) => {
                let serving = client().serve_with_lifecycle(pipe, lifecycle());
                serving.await
            }
            Transport::Http { url, token, guard } => {
                let transport = http(&url, &token, &guard)?;
                client().serve_with_lifecycle(transport, lifecycle()).await
            }
        };
        let service = service.map_err(|error| ConnectError::Handshake(Box::new(error)))?;
        let tools = service.list_all_tools().await;
        Ok(Self {
            name: server.name,
            tools: tools.map_err(|error| ConnectError::List(Box::new(error)))?,
            service,
        })
    }

    /// The name of a tool of this server; none if no model could say it.
    pub(super) fn name_of(&self, tool: &Tool) -> Option<String> {
        tool_name(&self.name, &tool.name)
    }
}

/// Who asks. It offers servers nothing: no sampling, no questions to people, no files.
fn client() -> ClientConfig {
    let own = Implementation::new("membrane", env!("CARGO_PKG_VERSION"));
    ClientConfig::new(ClientCapabilities::default(), own)
}

/// The newest protocol where the server knows it, otherwise the handshake of earlier ones.
fn lifecycle() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    }
}

fn http(
    url: &str,
    token: &SecretString,
    guard: &EgressGuard,
) -> Result<StreamableHttpClientTransport<reqwest::Client>, ConnectError> {
    let limits = ClientLimits {
        read_timeout: Some(SILENCE),
        ..ClientLimits::default()
    };
    let (url, client) = guard.client(limits)?.for_url(url)?;
    let config = StreamableHttpClientTransportConfig::with_uri(String::from(url))
        .auth_header(token.expose_secret());
    Ok(StreamableHttpClientTransport::with_client(client, config))
}

//! The client of the Messages API: one key, one provider, one address. It sends requests, bounds
//! and types what comes back, and classifies what goes wrong. It retries nothing and knows neither
//! tools nor events: that is the engine's.

mod assemble;
mod error;
mod facts;
mod forward;
pub mod inside;
mod retry;
mod stream;
pub mod types;

use std::{net::SocketAddr, time::Duration};

use reqwest::{
    Response,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::egress::{ClientLimits, EgressGuard, GuardedClient};

pub use assemble::{Assembler, BlockDone, Step};
pub use error::{ModelError, ModelErrorReason};
pub(crate) use facts::bare_name;
pub use facts::{OutputOptions, output_options};
pub use forward::{Broken, Endpoint, Forwarded, ForwardedAnswer, Refused};
pub use retry::RetryPolicy;
pub use stream::MessageStream;

use types::MessagesRequest;

/// Version of the Messages API that requests name.
const API_VERSION: &str = "2023-06-01";

/// Where the model is, and how its key is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Anthropic's own API; the key in `x-api-key`.
    Anthropic,
    /// OpenRouter's Messages API; the key as a bearer token.
    OpenRouter,
    /// Any base URL that speaks the Messages API. The key goes in both headers, since such servers
    /// read one or the other and ignore the rest; both go to the same server.
    Custom,
    /// The scripted model; the key in `x-api-key`, as with Anthropic.
    Demo,
}

impl Provider {
    /// The name in events and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenRouter => "openrouter",
            Self::Custom => "custom",
            Self::Demo => "demo",
        }
    }

    fn default_base_url(self) -> Option<&'static str> {
        match self {
            Self::Anthropic => Some("https://api.anthropic.com"),
            Self::OpenRouter => Some("https://openrouter.ai/api"),
            Self::Custom | Self::Demo => None,
        }
    }

    fn sends_api_key(self) -> bool {
        self != Self::OpenRouter
    }

    fn sends_bearer(self) -> bool {
        matches!(self, Self::OpenRouter | Self::Custom)
    }
}

/// Bounds of what a model may send and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct ModelLimits {
    /// How long establishing a connection may take.
    pub connect_timeout: Duration,
    /// How long no byte may arrive, from sending the request to the end of the answer. Pings count
    /// as bytes.
    pub idle_timeout: Duration,
    /// Longest line of a streamed answer in bytes.
    pub line_bytes_max: usize,
    /// Longest streamed answer in bytes, framing included.
    pub stream_bytes_max: usize,
    /// Longest body of an error or of an answer that is not streamed, in bytes.
    pub body_bytes_max: usize,
}

impl Default for ModelLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            line_bytes_max: 4 << 20,
            stream_bytes_max: 64 << 20,
            body_bytes_max: 1 << 20,
        }
    }
}

/// What a model client is made of.
#[derive(Debug)]
pub struct ModelConfig {
    /// Where the model is.
    pub provider: Provider,
    /// The base URL, with or without `/v1`; none for the provider's own. `Custom` and `Demo` need
    /// one.
    pub base_url: Option<String>,
    /// The key; empty to send none, for servers that want none.
    pub key: SecretString,
    /// What may be reached.
    pub guard: EgressGuard,
    /// Bounds of answers.
    pub limits: ModelLimits,
    /// How failed requests are tried again by the engine.
    pub retry: RetryPolicy,
}

impl ModelConfig {
    /// A configuration with the provider's own address and default bounds.
    #[must_use]
    pub fn new(provider: Provider, key: SecretString, guard: EgressGuard) -> Self {
        Self {
            provider,
            base_url: None,
            key,
            guard,
            limits: ModelLimits::default(),
            retry: RetryPolicy::default(),
        }
    }

    /// The same at another address.
    #[must_use]
    pub fn with_base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// A scripted model that listens on this address of the same machine. Its guard reaches this
    /// address alone.
    #[must_use]
    pub fn demo(address: SocketAddr) -> Self {
        let guard = EgressGuard::new(vec![address.into()]);
        Self::new(Provider::Demo, SecretString::from("demo"), guard)
            .with_base_url(format!("http://{address}"))
    }
}

/// A client of one provider with one key.
#[derive(Debug)]
pub struct ModelClient {
    provider: Provider,
    endpoint: String,
    headers: HeaderMap,
    key: SecretString,
    client: GuardedClient,
    limits: ModelLimits,
    retry: RetryPolicy,
}

/// A successful trial request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The model that answered, as the provider names it.
    pub model: String,
    /// From sending the request to the end of the answer.
    pub latency: Duration,
}

#[derive(Deserialize)]
struct ProbeAnswer {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    model: String,
}

impl ModelClient {
    /// A client with this configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// `MODEL_REQUEST_INVALID` without a base URL where one is needed, `EGRESS_DENIED` for a base
    /// URL that may not be reached, `MODEL_AUTHENTICATION` for a key with characters that no HTTP
    /// header can have, `MODEL_UNREACHABLE` when TLS cannot be set up on this machine.
    pub fn new(config: ModelConfig) -> Result<Self, ModelError> {
        let endpoint = endpoint(&config)?;
        let headers = headers(config.provider, &config.key)?;
        let limits = ClientLimits {
            connect_timeout: config.limits.connect_timeout,
            ..ClientLimits::default()
        };
        let client = config.guard.client(limits).map_err(|_| ModelError {
            message: "TLS could not be set up on this server. Check that its CA certificates are installed.".to_owned(),
            ..ModelError::new(ModelErrorReason::Unreachable)
        })?;
        Ok(Self {
            provider: config.provider,
            endpoint,
            headers,
            key: config.key,
            client,
            limits: config.limits,
            retry: config.retry,
        })
    }

    /// Where the model is.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// How failed requests are to be tried again.
    #[must_use]
    pub fn retry(&self) -> &RetryPolicy {
        &self.retry
    }

    /// Sends a request and returns the answer as it streams in.
    ///
    /// # Errors
    /// Any [`ModelError`]; nothing was answered then.
    pub async fn stream(&self, request: &MessagesRequest) -> Result<MessageStream, ModelError> {
        let response = self.send(&json!(request)).await?;
        if !stream::is_event_stream(&response) {
            return Err(ModelError::new(ModelErrorReason::Malformed));
        }
        Ok(MessageStream::new(response, self.limits, self.key.clone()))
    }

    /// Tries key, address and model with the cheapest request there is: one output token.
    ///
    /// # Errors
    /// Any [`ModelError`], to be shown as it is.
    pub async fn probe(&self, model: &str) -> Result<Probe, ModelError> {
        let body = json!({
            "model": model,
            "max_tokens": 1,
            "messages": [{ "role": "user", "content": "Hi" }],
        });
        let start = Instant::now();
        let response = self.send(&body).await?;
        let answer = stream::bounded_body(response, self.limits).await?;
        let answer: ProbeAnswer = serde_json::from_slice(&answer)
            .map_err(|_| ModelError::new(ModelErrorReason::Malformed))?;
        if answer.kind != "message" {
            return Err(ModelError::new(ModelErrorReason::Malformed));
        }
        Ok(Probe {
            model: answer.model,
            latency: start.elapsed(),
        })
    }

    async fn send(&self, body: &serde_json::Value) -> Result<Response, ModelError> {
        let request = self
            .client
            .post(&self.endpoint)?
            .headers(self.headers.clone())
            .json(body)
            .send();
        let response = timeout(self.limits.idle_timeout, request)
            .await
            .map_err(|_| ModelError::new(ModelErrorReason::Timeout))?
            .map_err(|error| ModelError::of_transport(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    async fn refusal(&self, response: Response) -> ModelError {
        let status = response.status().as_u16();
        let retry_after = retry::retry_after(response.headers());
        let body = stream::bounded_body(response, self.limits).await;
        let body = body.unwrap_or_default();
        ModelError::of_response(status, retry_after, &body, &self.key)
    }
}

fn endpoint(config: &ModelConfig) -> Result<String, ModelError> {
    let own = config.base_url.as_deref().map(str::trim);
    let base = own
        .filter(|url| !url.is_empty())
        .or_else(|| config.provider.default_base_url());
    let Some(base) = base else {
        return Err(ModelError {
            message: "This provider needs a base URL. Give one in the workspace's settings."
                .to_owned(),
            ..ModelError::new(ModelErrorReason::RequestInvalid)
        });
    };
    let mut url = config.guard.check_url(base)?;
    let path = url.path().trim_end_matches('/').trim_end_matches("/v1");
    let path = format!("{path}/v1/messages");
    url.set_path(&path);
    url.set_fragment(None);
    Ok(url.into())
}

fn headers(provider: Provider, key: &SecretString) -> Result<HeaderMap, ModelError> {
    let mut headers = HeaderMap::new();
    headers.insert(
        HeaderName::from_static("anthropic-version"),
        HeaderValue::from_static(API_VERSION),
    );
    let key = key.expose_secret().trim();
    if key.is_empty() {
        return Ok(headers);
    }
    if provider.sends_api_key() {
        headers.insert(HeaderName::from_static("x-api-key"), sensitive(key)?);
    }
    if provider.sends_bearer() {
        headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {key}"))?);
    }
    Ok(headers)
}

fn sensitive(value: &str) -> Result<HeaderValue, ModelError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| ModelError {
        message: "The key contains characters that no key has. Enter it again.".to_owned(),
        ..ModelError::new(ModelErrorReason::Authentication)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

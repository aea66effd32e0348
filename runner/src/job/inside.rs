//! The model as programs inside the sandbox of a run may ask it: at a port inside, with a token that
//! is good there and nowhere else. What they ask goes on to the server with the lease's token, which
//! they never see; the server decides, counts, and has the key.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{TryStreamExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use membrane_agent::{
    egress::{ClientLimits, EgressGuard, GuardedClient},
    sandbox::{Door, Keeper, OpenDoor},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{net::TcpStream, task::JoinSet};
use uuid::Uuid;

use crate::control::Failure;

/// The port inside; the same as in a live session.
const PORT: u16 = 61_010;
/// Connections at the same time. More wait.
const CONNECTIONS: usize = 64;
const HEAD_TIME: Duration = Duration::from_mins(1);
/// Longest head of a request in bytes.
const HEAD_MAX: usize = 64 << 10;
const PAUSE: Duration = Duration::from_millis(100);
/// How long a model may say nothing.
const SILENCE: Duration = Duration::from_mins(10);

/// What may be asked.
const PATHS: [&str; 3] = ["/v1/messages", "/v1/messages/count_tokens", "/v1/models"];
/// Headers that go on.
const OUT: [HeaderName; 4] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
];
/// Headers that do not come back: they are about a connection.
const NOT_BACK: [HeaderName; 3] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
];

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Who answers behind the door of a run.
#[derive(Debug)]
pub(super) struct ModelDoor {
    /// Where the server answers for this attempt, without a slash at the end.
    base_url: String,
    lease: SecretString,
    token: SecretString,
    client: GuardedClient,
}

impl ModelDoor {
    /// For the attempt with this lease, whose model is asked at this address.
    pub(super) fn new(
        base_url: String,
        lease: SecretString,
        guard: &EgressGuard,
    ) -> Result<Self, Failure> {
        let limits = ClientLimits {
            read_timeout: Some(SILENCE),
            ..ClientLimits::default()
        };
        let client = guard.client(limits);
        let token = format!("mbi_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Ok(Self {
            base_url,
            lease,
            token: token.into(),
            client: client.map_err(|error| Failure::Refused(error.to_string()))?,
        })
    }

    /// What programs inside show.
    pub(super) fn token(&self) -> &SecretString {
        &self.token
    }

    /// The way to it from inside.
    pub(super) fn door(self: Arc<Self>) -> Door {
        let environment = [
            ("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{PORT}")),
            ("ANTHROPIC_API_KEY", self.token.expose_secret().to_owned()),
        ];
        Door {
            port: PORT,
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            keeper: Arc::new(AtDoor(self)),
        }
    }

    async fn answer(&self, request: Request<Incoming>, tool_call_id: &str) -> Response<Body> {
        let path = request.uri().path();
        if path == "/" && matches!(*request.method(), Method::GET | Method::HEAD) {
            return said(StatusCode::OK, "");
        }
        if !PATHS.contains(&path) {
            return refusal(
                StatusCode::NOT_FOUND,
                "not_found_error",
                "This is not served here.",
            );
        }
        if !self.admits(request.headers()) {
            return refusal(
                StatusCode::UNAUTHORIZED,
                "authentication_error",
                "This token is not one of a run at work. Use ANTHROPIC_API_KEY of this process's own environment.",
            );
        }
        self.send_on(request, tool_call_id)
            .await
            .unwrap_or_else(|| {
                refusal(
                    StatusCode::BAD_GATEWAY,
                    "api_error",
                    "The server that asks the model can't be reached.",
                )
            })
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text("authorization").and_then(|value| value.split_once(' '));
        let shown = [text("x-api-key"), bearer.map(|(_, token)| token.trim())];
        let token = blake3::hash(self.token.expose_secret().as_bytes());
        let is_it = |shown: &str| blake3::hash(shown.as_bytes()) == token;
        shown.into_iter().flatten().any(is_it)
    }

    async fn send_on(
        &self,
        request: Request<Incoming>,
        tool_call_id: &str,
    ) -> Option<Response<Body>> {
        let (head, body) = request.into_parts();
        let url = format!("{}{}", self.base_url, head.uri.path());
        let mut asking = self
            .client
            .request(head.method, &url)
            .ok()?
            .header("x-api-key", self.lease.expose_secret())
            .header("x-membrane-tool-call-id", tool_call_id);
        for name in OUT {
            for value in head.headers.get_all(&name) {
                asking = asking.header(&name, value);
            }
        }
        let pieces = body.into_data_stream();
        let asking = asking.body(reqwest::Body::wrap_stream(pieces));
        let answered = asking.send().await.ok()?;
        let mut response = Response::new(());
        *response.status_mut() = answered.status();
        *response.headers_mut() = answered.headers().clone();
        for name in NOT_BACK {
            response.headers_mut().remove(name);
        }
        let pieces = answered.bytes_stream().map_ok(Frame::data);
        let pieces = pieces.map_err(std::io::Error::other);
        Some(response.map(|()| StreamBody::new(pieces).boxed_unsync()))
    }
}

#[derive(Debug)]
struct AtDoor(Arc<ModelDoor>);

impl Keeper for AtDoor {
    fn serve(&self, door: OpenDoor) -> BoxFuture<'static, ()> {
        let model = self.0.clone();
        Box::pin(async move {
            let mut connections = JoinSet::new();
            let tool_call_id: Arc<str> = door.tool_call_id.into();
            let accepting = async {
                loop {
                    if connections.len() >= CONNECTIONS {
                        connections.join_next().await;
                    }
                    match door.listener.accept().await {
                        Ok((connection, _)) => {
                            let (model, id) = (model.clone(), tool_call_id.clone());
                            connections.spawn(converse(connection, model, id));
                        }
                        Err(_) => tokio::time::sleep(PAUSE).await,
                    }
                    while connections.try_join_next().is_some() {}
                }
            };
            door.closing.run_until_cancelled(accepting).await;
            connections.shutdown().await;
        })
    }
}

async fn converse(connection: TcpStream, model: Arc<ModelDoor>, tool_call_id: Arc<str>) {
    // Without it, pieces wait for each other; a connection that can't have it works all the same.
    let _ = connection.set_nodelay(true);
    let service = service_fn(|request| {
        let (model, id) = (model.clone(), tool_call_id.clone());
        async move { Ok::<_, std::convert::Infallible>(model.answer(request, &id).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(connection), service);
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a connection from inside broke off");
    }
}

/// In the form of the Messages API, so that its clients understand it.
fn refusal(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    let text = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#);
    let mut response = said(status, &text);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn said(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::copy_from_slice(text.as_bytes()));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

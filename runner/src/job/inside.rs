//! The model as programs inside the sandbox of a run may ask it: at a port inside, with a token that
//! is good there and nowhere else. What they ask goes on to the server with the lease's token, which
//! they never see; the server decides, counts, and has the key.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{TryStreamExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use membrane_agent::{
    egress::{ClientLimits, EgressGuard, GuardedClient},
    model::inside,
    sandbox::{Door, Keeper, OpenDoor},
};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::control::Failure;

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
        Door {
            port: inside::PORT,
            environment: inside::environment(inside::PORT, self.token.expose_secret()),
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
        // Hashes take as long to compare whatever is guessed.
        let token = blake3::hash(self.token.expose_secret().as_bytes());
        inside::tokens(headers).any(|shown| blake3::hash(shown.as_bytes()) == token)
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
        let tool_call_id: Arc<str> = door.tool_call_id.as_str().into();
        let service = service_fn(move |request| {
            let (model, id) = (model.clone(), tool_call_id.clone());
            async move { Ok::<_, Infallible>(model.answer(request, &id).await) }
        });
        Box::pin(inside::serve(door, service))
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

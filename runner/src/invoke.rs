//! Being called by the server: a small HTTP endpoint for runners that are not there while nothing is to
//! be done. `POST /invoke` with the invoke token lets the runner claim what there is; it is answered
//! when that has ended, since whoever starts runners for a request may end them after it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};

/// Connections at the same time; more wait.
const CONNECTIONS: usize = 256;
/// How long the head of a request may take.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted, which is a lack of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invoked {
    /// What there was to claim has ended, or there was nothing.
    Done,
    /// There is no room for another run here.
    Full,
    /// The server could not be asked for one.
    Failed,
}

impl Invoked {
    fn status(self) -> StatusCode {
        match self {
            Self::Done => StatusCode::NO_CONTENT,
            Self::Full => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::BAD_GATEWAY,
        }
    }
}

/// Serves the endpoint for ever. `work` is what an invocation does.
pub async fn serve<Work>(
    listener: TcpListener,
    token: SecretString,
    work: impl Fn() -> Work + Clone + Send + Sync + 'static,
) where
    Work: Future<Output = Invoked> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        let Ok((connection, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let (token, work) = (token.clone(), work.clone());
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| {
                let (token, work) = (token.clone(), work.clone());
                async move { Ok::<_, Infallible>(answer(&request, &token, work).await) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .serve_connection(TokioIo::new(connection), service);
            if let Err(error) = serving.await {
                tracing::debug!(error.message = %error, "a connection broke off");
            }
        });
    }
}

async fn answer<Work>(
    request: &Request<Incoming>,
    token: &SecretString,
    work: impl Fn() -> Work,
) -> Response<Full<Bytes>>
where
    Work: Future<Output = Invoked> + Send + 'static,
{
    let status = match (request.method(), request.uri().path()) {
        (&Method::GET, "/health") => StatusCode::OK,
        (&Method::POST, "/invoke") if !shows(request, token) => StatusCode::UNAUTHORIZED,
        // In a task of its own: who hangs up does not end what has begun.
        (&Method::POST, "/invoke") => match tokio::spawn(work()).await {
            Ok(invoked) => invoked.status(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        },
        (_, "/health" | "/invoke") => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::NOT_FOUND,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// Whether a request shows the token. Digests are compared in constant time.
fn shows(request: &Request<Incoming>, token: &SecretString) -> bool {
    let header = request.headers().get(AUTHORIZATION);
    let shown = header
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    blake3::hash(shown.as_bytes()) == blake3::hash(token.expose_secret().as_bytes())
}

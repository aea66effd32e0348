//! One connection from inside, in HTTP/1: requests with a whole URL are passed on one by one, each
//! decided on by itself, and CONNECT becomes a tunnel.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, client, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::meter::Metered;
use super::way::{Refusal, Way};
use crate::egress::Target;

/// Bounds of a request's head, and how long it may take, also while a connection waits for the next.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
const HTTP_PORT: u16 = 80;
/// What is between two neighbours only, beside what they name in `Connection`.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

type Body = UnsyncBoxBody<Bytes, hyper::Error>;
type Waiting = Mutex<Option<Tunnel>>;

/// A connection that is to be passed through once its client has read that it is there.
struct Tunnel {
    inside: OnUpgrade,
    outside: Metered,
}

/// Serves a connection until its end. Whatever it does ends with this future.
pub(super) async fn serve(stream: TcpStream, way: Arc<Way>) {
    // Only the delay is at stake.
    let _ = stream.set_nodelay(true);
    let waiting = Arc::new(Waiting::default());
    let service = service_fn(|request| answer(request, way.clone(), waiting.clone()));
    let connection = server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if connection.await.is_err() {
        return;
    }
    let tunnel = waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(tunnel) = tunnel {
        tunnel.pass().await;
    }
}

async fn answer(
    request: Request<Incoming>,
    way: Arc<Way>,
    waiting: Arc<Waiting>,
) -> Result<Response<Body>, Infallible> {
    let answered = if request.method() == Method::CONNECT {
        open(request, &way, &waiting).await
    } else {
        pass_on(request, &way).await
    };
    Ok(answered.unwrap_or_else(|refusal| refused(&refusal)))
}

async fn open(
    request: Request<Incoming>,
    way: &Way,
    waiting: &Waiting,
) -> Result<Response<Body>, Refusal> {
    let wanted = request.uri().authority().map_or("", Authority::as_str);
    let (_, outside) = way.connect(wanted, None).await?;
    let tunnel = Tunnel {
        inside: hyper::upgrade::on(request),
        outside,
    };
    *waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    Ok(Response::new(text(String::new())))
}

impl Tunnel {
    async fn pass(mut self) {
        if let Ok(inside) = self.inside.await {
            // Who is interested has seen what arrived, and the rest is counted.
            let _ = copy_bidirectional(&mut TokioIo::new(inside), &mut self.outside).await;
        }
    }
}

async fn pass_on(mut request: Request<Incoming>, way: &Way) -> Result<Response<Body>, Refusal> {
    let uri = request.uri();
    if uri.scheme() != Some(&Scheme::HTTP) {
        return Ok(not_for_a_proxy());
    }
    let wanted = uri.authority().map_or("", Authority::as_str).to_owned();
    let path = uri.path_and_query().cloned();
    let (target, outside) = way.connect(&wanted, Some(HTTP_PORT)).await?;
    *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    strip(request.headers_mut());
    // What was decided on is what the other side is told, whatever the client had there.
    if let Ok(host) = HeaderValue::from_str(&host_header(&target)) {
        request.headers_mut().insert(HOST, host);
    }
    let answered = exchange(request, outside).await;
    Ok(answered.unwrap_or_else(|_| failed(&target)))
}

/// One request, one connection. It ends with the answer's body, or with whoever waits for it.
async fn exchange(
    request: Request<Incoming>,
    outside: Metered,
) -> Result<Response<Body>, hyper::Error> {
    let (mut sender, connection) = client::conn::http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(outside))
        .await?;
    let driver = AbortOnDropHandle::new(tokio::spawn(async move {
        let _ = connection.await;
    }));
    let mut response = sender.send_request(request).await?;
    strip(response.headers_mut());
    Ok(response.map(|body| {
        let held = body.map_frame(move |frame| {
            let _ = &driver;
            frame
        });
        held.boxed_unsync()
    }))
}

fn host_header(target: &Target) -> String {
    match target.port {
        HTTP_PORT => target.host.to_string(),
        _ => target.to_string(),
    }
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn refused(refusal: &Refusal) -> Response<Body> {
    said(refusal.status, refusal.message.clone())
}

fn failed(target: &Target) -> Response<Body> {
    let message = format!("{target} did not give an answer that could be passed on.");
    said(StatusCode::BAD_GATEWAY, message)
}

fn not_for_a_proxy() -> Response<Body> {
    let message = "This is a proxy: it takes CONNECT, and requests with a whole http URL.";
    said(StatusCode::BAD_REQUEST, message.to_owned())
}

/// Says it as the status's reason as well: of an answer to CONNECT, clients show no more.
fn said(status: StatusCode, message: String) -> Response<Body> {
    let mut response = Response::new(text(format!("Membrane: {message}\n")));
    if let Ok(reason) = ReasonPhrase::try_from(message) {
        response.extensions_mut().insert(reason);
    }
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn text(text: String) -> Body {
    let body = Full::new(Bytes::from(text));
    body.map_err(|never| match never {}).boxed_unsync()
}

//! The model for programs inside a sandbox: where they find it, how they show their token, and how
//! connections at its door are served, within bounds. Who answers, and what, is the host's matter.

use std::{error::Error, time::Duration};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::Service,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use reqwest::header::HeaderMap;
use tokio::{net::TcpStream, task::JoinSet};

use crate::sandbox::OpenDoor;

/// The port inside. Above those that the kernel gives to programs that ask for none.
pub const PORT: u16 = 61_010;
/// Connections at the same time. More wait.
const CONNECTIONS: usize = 64;
/// How long the head of a request may take, and how long a connection may be idle.
const HEAD_TIME: Duration = Duration::from_mins(1);
/// Longest head of a request in bytes.
const HEAD_MAX: usize = 64 << 10;
/// Pause after a connection could not be accepted, which is a lack of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What programs inside find in their environment when the model answers at this port.
#[must_use]
pub fn environment(port: u16, token: &str) -> Vec<(String, String)> {
    [
        ("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{port}")),
        // One of the two names that clients know: with both, they complain.
        ("ANTHROPIC_API_KEY", token.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The tokens that a request shows, in either header.
pub fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    [text("x-api-key"), bearer].into_iter().flatten()
}

/// Serves HTTP at an open door until it closes, and ends every connection then.
pub async fn serve<S, B>(door: OpenDoor, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>, Data: Send> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            if connections.len() >= CONNECTIONS {
                connections.join_next().await;
            }
            match door.listener.accept().await {
                Ok((connection, _)) => {
                    connections.spawn(converse(connection, service.clone()));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
            while connections.try_join_next().is_some() {}
        }
    };
    door.closing.run_until_cancelled(accepting).await;
    // Each ends its request, which is counted elsewhere.
    connections.shutdown().await;
}

async fn converse<S, B>(connection: TcpStream, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Send,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>, Data: Send> + Send + 'static,
{
    // Without it, pieces wait for each other; a connection that can't have it works all the same.
    let _ = connection.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(connection), service);
    if let Err(error) = serving.await {
        tracing::debug!(error.message = %error, "a connection from inside broke off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_either_header() {
        let of = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a value"));
            tokens(&headers).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(of("x-api-key", "abc"), ["abc"]);
        assert_eq!(of("authorization", "Bearer abc"), ["abc"]);
        assert_eq!(of("authorization", "bearer  abc"), ["abc"]);
        for (name, value) in [
            ("authorization", "Basic abc"),
            ("authorization", "abc"),
            ("cookie", "abc"),
        ] {
            assert!(of(name, value).is_empty(), "{name}: {value}");
        }
    }
}

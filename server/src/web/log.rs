//! One line for each request: what, how it ended, how long its head took. Never a query, a header
//! or a body. Each has an id, which stands in every line about it and in the head of its answer, so
//! that people can quote it.

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;
use tracing::{Instrument as _, info_span};
use uuid::Uuid;

/// The header with an answer's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, for whoever answers it.
#[derive(Clone, Debug)]
pub struct RequestId(pub HeaderValue);

/// Gives a request an id, and logs it when its answer begins.
pub async fn log_request(mut request: Request, next: Next) -> Response {
    let id = format!("{:012x}", Uuid::new_v4().as_u128() >> 80);
    let span = info_span!("request", request.id = id);
    let Ok(value) = HeaderValue::from_str(&id) else {
        return answer(request, next).instrument(span).await;
    };
    request.extensions_mut().insert(RequestId(value.clone()));
    let mut response = answer(request, next).instrument(span).await;
    response.headers_mut().insert(REQUEST_ID, value);
    response
}

async fn answer(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let begun = Instant::now();
    let response = next.run(request).await;
    let latency_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let grpc_status = response
        .headers()
        .get("grpc-status")
        .and_then(|value| value.to_str().ok());
    tracing::info!(
        http.method = %method,
        http.path = %path,
        http.status = response.status().as_u16(),
        grpc.status = grpc_status,
        latency_ms,
        "answered a request"
    );
    response
}

//! One line for each request: what, how it ended, how long its head took. Never a query, a header
//! or a body.

use axum::{extract::Request, middleware::Next, response::Response};
use tokio::time::Instant;

/// Logs a request when its answer begins.
pub async fn log_request(request: Request, next: Next) -> Response {
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

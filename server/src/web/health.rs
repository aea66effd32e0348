//! `GET /health`.

use axum::{Json, extract::State, response::IntoResponse};
use http::StatusCode;
use serde_json::json;

use crate::server::App;

/// Whether the server can do its work: the database answers.
pub async fn health(State(app): State<App>) -> impl IntoResponse {
    let healthy = app.database.ping().await.is_ok() && !app.stopping.is_cancelled();
    let (code, status) = if healthy {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
    };
    let body = json!({ "status": status, "version": env!("CARGO_PKG_VERSION") });
    (code, Json(body))
}

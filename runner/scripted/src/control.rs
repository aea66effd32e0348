//! The remote control for tests in other languages: which requests arrived, and what to play.
//! Whoever reaches it may use it, so it is only there when asked for.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use bytes::Bytes;

use crate::record::Recorded;
use crate::scenario::Scenario;
use crate::server::Shared;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_scripted/requests", get(requests).delete(forget))
        .route("/_scripted/scenario", put(scenario))
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Vec<Recorded>> {
    Json(shared.record.all())
}

async fn forget(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.record.clear();
    StatusCode::NO_CONTENT
}

async fn scenario(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    match Scenario::from_json(&body) {
        Ok(scenario) => {
            shared.set_scenario(scenario);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

//! The routes of the API: decode a request, let it be answered, record it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::record::Recorded;
use crate::respond::Plan;
use crate::server::Shared;
use crate::{control, usage, validate, wire};

/// The largest request, as the API's.
const LARGEST_BODY_BYTES: usize = 32 << 20;

/// All routes. Those of the API are also below `/api`, where OpenRouter has them.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let mut router = Router::new()
        .merge(api(""))
        .merge(api("/api"))
        .route("/", get(probe))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method);
    if shared.options.control {
        router = router.merge(control::router());
    }
    router
        .layer(DefaultBodyLimit::max(LARGEST_BODY_BYTES))
        .with_state(Arc::clone(shared))
}

/// The API below a prefix. Nesting would hide the prefix from what is recorded.
fn api(prefix: &str) -> Router<Arc<Shared>> {
    let at = |path: &str| format!("{prefix}/v1/{path}");
    Router::new()
        .route(&at("messages"), post(messages))
        .route(&at("messages/count_tokens"), post(count_tokens))
        .route(&at("models"), get(models))
        .route(&at("models/{id}"), get(model))
}

/// A request as it will be recorded, and what is wrong with its body already.
struct Asked {
    request: Recorded,
    unreadable: Option<ApiError>,
}

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state).await;
        let unreadable = match &body {
            Err(rejection) => Some(ApiError::usual(rejection.status().as_u16())),
            Ok(body) => validate::json(body).err(),
        };
        let request = Recorded::new(&method, &uri, &headers, &body.unwrap_or_default());
        Ok(Self {
            request,
            unreadable,
        })
    }
}

impl Asked {
    /// Answers with JSON, or with the error that this comes to, and records it.
    fn reply(mut self, shared: &Shared, answer: Result<Value, ApiError>) -> Response {
        let request_id = wire::id("req");
        self.request.status = answer.as_ref().map_or_else(ApiError::status, |_| 200);
        shared.record.add(self.request);
        let response = match answer {
            Ok(body) => Json(body).into_response(),
            Err(error) => error.response(&request_id),
        };
        with_request_id(response, &request_id)
    }
}

async fn messages(State(shared): State<Arc<Shared>>, mut asked: Asked) -> Response {
    let request_id = wire::id("req");
    let answer = match asked.unreadable {
        Some(error) => Err(error),
        None => shared.answer(&asked.request),
    };
    let plan = Plan::new(&asked.request.body, answer);
    shared.append_body(&asked.request.body).await;
    asked.request.status = plan.status();
    // Before the plan's delays, so that tests can see a request that still waits.
    shared.record.add(asked.request);
    let response = plan.respond(&request_id, shared.stop.clone()).await;
    with_request_id(response, &request_id)
}

async fn count_tokens(State(shared): State<Arc<Shared>>, mut asked: Asked) -> Response {
    let unreadable = asked.unreadable.take();
    let counted = unreadable.map_or(Ok(()), Err).and_then(|()| {
        let dialect = shared.check_head(&asked.request)?;
        validate::count_request(&asked.request.body, dialect, &shared.options.models)?;
        let tokens = usage::estimate_request(&asked.request.body);
        Ok(json!({"input_tokens": tokens}))
    });
    asked.reply(&shared, counted)
}

async fn models(State(shared): State<Arc<Shared>>, asked: Asked) -> Response {
    let listed = shared.check_head(&asked.request).map(|_| {
        let models = shared.models();
        json!({
            "data": models.iter().map(|id| model_json(id)).collect::<Vec<_>>(),
            "has_more": false,
            "first_id": models.first(),
            "last_id": models.last(),
        })
    });
    asked.reply(&shared, listed)
}

async fn model(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Response {
    let found = shared
        .check_head(&asked.request)
        .and_then(|_| validate::model(&id, &shared.options.models))
        .map(|()| model_json(&id));
    asked.reply(&shared, found)
}

/// Some clients ask whether anybody is there before they send a key.
async fn probe(State(shared): State<Arc<Shared>>, asked: Asked) -> Response {
    asked.reply(&shared, Ok(json!({})))
}

async fn unknown(State(shared): State<Arc<Shared>>, asked: Asked) -> Response {
    asked.reply(&shared, Err(ApiError::usual(404)))
}

async fn wrong_method(State(shared): State<Arc<Shared>>, asked: Asked) -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED.as_u16();
    asked.reply(&shared, Err(ApiError::usual(status)))
}

fn model_json(id: &str) -> Value {
    json!({
        "type": "model",
        "id": id,
        "display_name": format!("{id} (scripted)"),
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
    })
}

fn with_request_id(mut response: Response, request_id: &str) -> Response {
    if let Ok(value) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("request-id", value);
    }
    response
}

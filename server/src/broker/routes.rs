//! What the broker serves.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use membrane_agent::model::{Endpoint, inside::tokens};
use serde_json::{Value, json};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    Broker,
    body::{Asked, check_features},
    exchange::Exchange,
    refusal::Refusal,
};

/// Longest body of a request in bytes: what the Messages API takes.
const BODY_MAX: usize = 32 << 20;
/// How long a request's body may take to arrive.
const BODY_TIME: Duration = Duration::from_mins(1);

/// A broker as programs of one tool call meet it.
#[derive(Clone)]
struct Desk {
    broker: Arc<Broker>,
    tool_call_id: Arc<str>,
}

/// The routes of a broker for programs of one tool call.
pub(super) fn router(broker: Arc<Broker>, tool_call_id: Arc<str>) -> Router {
    let desk = Desk {
        broker,
        tool_call_id,
    };
    Router::new()
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/models", get(models))
        .fallback(async || Refusal::not_found())
        .method_not_allowed_fallback(async || Refusal::not_found())
        .layer(middleware::from_fn_with_state(desk.clone(), admit))
        // What clients ask before they begin, to see that somebody is there.
        .route("/", any(probe))
        .with_state(desk)
}

async fn probe(method: Method) -> Response {
    if matches!(method, Method::GET | Method::HEAD) {
        return StatusCode::OK.into_response();
    }
    Refusal::not_found().into_response()
}

/// Lets those in who show the token of this turn.
async fn admit(
    State(Desk { broker, .. }): State<Desk>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let admitted = tokens(request.headers()).any(|token| broker.admits(token));
    if admitted {
        return Ok(next.run(request).await);
    }
    Err(Refusal::unknown())
}

async fn messages(
    State(desk): State<Desk>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let place = desk.broker.enter()?;
    let (body, asked) = read(body).await?;
    let streamed = asked.stream;
    let endpoint = Endpoint::Messages { streamed };
    send_on(desk, headers, body, asked, endpoint, place).await
}

async fn count_tokens(
    State(desk): State<Desk>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let place = desk.broker.enter()?;
    let (body, asked) = read(body).await?;
    send_on(desk, headers, body, asked, Endpoint::CountTokens, place).await
}

async fn send_on(
    desk: Desk,
    headers: HeaderMap,
    body: Bytes,
    asked: Asked,
    endpoint: Endpoint,
    place: OwnedSemaphorePermit,
) -> Result<Response, Refusal> {
    check_features(&headers)?;
    desk.broker.check_model(&asked.model)?;
    let exchange = Exchange {
        broker: desk.broker,
        tool_call_id: desk.tool_call_id,
        headers,
        body,
        asked,
        endpoint,
        place,
    };
    exchange.answer().await
}

async fn read(body: Body) -> Result<(Bytes, Asked), Refusal> {
    let arriving = Limited::new(body, BODY_MAX).collect();
    let body = timeout(BODY_TIME, arriving)
        .await
        .map_err(|_| Refusal::slow())?;
    let body = match body {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(Refusal::too_large(BODY_MAX)),
        Err(_) => return Err(Refusal::invalid("The body did not arrive.")),
    };
    let asked = Asked::read(&body)?;
    Ok((body, asked))
}

/// The models that may be asked, as far as the workspace says.
async fn models(State(Desk { broker, .. }): State<Desk>) -> Json<Value> {
    let settings = &broker.commission.settings;
    let names = match settings.allowed_models.as_slice() {
        [] => std::slice::from_ref(&settings.model),
        names => names,
    };
    let model = |name: &String| {
        json!({
            "type": "model",
            "id": name,
            "display_name": name,
            // Nobody here knows, and clients want one.
            "created_at": "1970-01-01T00:00:00Z",
        })
    };
    Json(json!({
        "data": names.iter().map(model).collect::<Vec<_>>(),
        "first_id": names.first(),
        "last_id": names.last(),
        "has_more": false,
    }))
}

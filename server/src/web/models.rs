//! The model as runners ask it: the Messages API below the address of an attempt at a run, with the
//! token of its lease as the key. Refusals are in the form of that API, and one for all who hold no
//! lease.

use axum::{
    extract::{Path, Request, State},
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use membrane_agent::model::inside::tokens;

use crate::{broker::Refusal, id::RunId, server::App};

/// Names the tool call under which a program asks; an engine asks without it.
const TOOL_CALL: &str = "x-membrane-tool-call-id";

/// Hands a request to the broker of the attempt.
pub async fn ask(
    State(app): State<App>,
    Path((run, attempt)): Path<(String, i32)>,
    request: Request,
) -> Response {
    let (Ok(run), Some(token)) = (run.parse(), tokens(request.headers()).next()) else {
        return Refusal::unknown().into_response();
    };
    let tool_call_id = tool_call(request.headers());
    match app.runs.broker(RunId(run), attempt, token).await {
        Ok(broker) => broker.answer(&tool_call_id, request).await,
        Err(error) => Refusal::from(error).into_response(),
    }
}

fn tool_call(headers: &HeaderMap) -> String {
    let named = headers.get(TOOL_CALL);
    let named = named.and_then(|value| value.to_str().ok());
    named.unwrap_or_default().to_owned()
}

//! The built-in MCP server as runners call it: streamable HTTP below the address of an attempt at a
//! run, with the token of its lease. Each request stands alone, so any server of a database answers.

use axum::{
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use membrane_agent::model::inside::tokens;

use super::Problem;
use crate::{error::Error, id::RunId, mcp::BuiltIn, server::App};

/// Largest request in bytes: a prompt with all of its characters escaped.
const LARGEST: usize = 4 << 20;

/// Hands a request to the tools of the run's workspace.
pub async fn call(
    State(app): State<App>,
    Path((run, attempt)): Path<(String, i32)>,
    request: Request,
) -> Response {
    match answer(&app, &run, attempt, request).await {
        Ok(answer) => answer,
        Err(error) => Problem(error).into_response(),
    }
}

async fn answer(app: &App, run: &str, attempt: i32, request: Request) -> Result<Response, Error> {
    admit(app.clone(), run, attempt, request.headers()).await?;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await.map_err(|_| Error::Rejected {
        reason: "BODY_TOO_LARGE",
        message: format!("a request has at most {LARGEST} bytes, and comes whole"),
    })?;
    // Once more: the lease may be lost while the body comes.
    let tools = admit(app.clone(), run, attempt, &parts.headers).await?;
    let request = http::Request::from_parts(parts, Body::from(body));
    Ok(tools.answer(request).await.map(Body::new))
}

/// The tools of the run whose lease is shown. All who hold none are told the same.
async fn admit(app: App, run: &str, attempt: i32, headers: &HeaderMap) -> Result<BuiltIn, Error> {
    let unknown = Error::Unauthenticated("this token is not one of a run at work");
    let (Ok(run), Some(token)) = (run.parse(), tokens(headers).next()) else {
        return Err(unknown);
    };
    match app.runs.at_work(RunId(run), attempt, token).await {
        Ok(row) => BuiltIn::of_run(app, &row),
        Err(Error::NotFound(_) | Error::Precondition { .. }) => Err(unknown),
        Err(error) => Err(error),
    }
}

//! The built-in MCP server as runners call it: streamable HTTP below the address of an attempt at a
//! run, with the token of its lease. Each request stands alone, so any server of a database answers.

use axum::{
    body::Body,
    extract::{Path, Request, State},
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use membrane_agent::model::inside::tokens;

use super::Problem;
use crate::{error::Error, id::RunId, mcp::BuiltIn, server::App};

/// Hands a request to the tools of the run's workspace.
pub async fn call(
    State(app): State<App>,
    Path((run, attempt)): Path<(String, i32)>,
    request: Request,
) -> Response {
    match admit(app, &run, attempt, request.headers()).await {
        Ok(tools) => tools.answer(request).await.map(Body::new),
        Err(error) => Problem(error).into_response(),
    }
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

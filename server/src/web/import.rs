//! `POST /workspaces/import`: what a browser's form can send. Programs use
//! `WorkspaceService.ImportWorkspace`, and both end in the same place.

use axum::{
    Json,
    extract::{Multipart, State, multipart::Field},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode, header::ACCEPT};
use membrane_proto::v1::CreateWorkspaceRequest;
use serde_json::json;

use super::Problem;
use crate::{
    authz::{Operation, Resource},
    error::Error,
    server::App,
    uploads::Receiving,
    workspaces::NewWorkspace,
};

/// Longest text field in bytes.
const MAX_TEXT: usize = 1_024;

/// Creates a workspace from a form with the fields `name`, optionally `request_id`, and last the
/// file `archive`. Answers 303 to the workspace, or 201 with its id to whoever accepts JSON.
pub async fn import(
    State(app): State<App>,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Response, Problem> {
    let principal = app.authenticator.principal(&headers).await?;
    let permit = app
        .authority
        .permit(
            principal.as_ref(),
            Operation::CreateWorkspace,
            Resource::Server,
        )
        .await?;
    let (request, received) = read_form(&app, form).await?;
    let new = NewWorkspace::decode(request, permit.user_id())?;
    let (id, _) = app.import_workspace(new, received).await?;
    let wants_json = headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.starts_with("application/json"));
    if wants_json {
        return Ok((
            StatusCode::CREATED,
            Json(json!({ "workspace_id": id.to_string() })),
        )
            .into_response());
    }
    Ok(Redirect::to(&format!("/workspaces/{id}")).into_response())
}

async fn read_form(
    app: &App,
    mut form: Multipart,
) -> Result<(CreateWorkspaceRequest, Receiving), Error> {
    let mut request = CreateWorkspaceRequest::default();
    while let Some(field) = form.next_field().await.map_err(|_| malformed())? {
        match field.name() {
            Some("name") => request.name = text(field).await?,
            Some("request_id") => request.request_id = text(field).await?,
            Some("archive") => return Ok((request, receive(app, field).await?)),
            other => {
                let name = other.unwrap_or_default().to_owned();
                return Err(Error::invalid(name, "is not a field of this form"));
            }
        }
    }
    Err(Error::invalid("archive", "is required"))
}

async fn text(mut field: Field<'_>) -> Result<String, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|_| malformed())? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_TEXT {
            return Err(Error::invalid(
                "name",
                format!("must have at most {MAX_TEXT} bytes"),
            ));
        }
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid("name", "must be UTF-8"))
}

async fn receive(app: &App, mut field: Field<'_>) -> Result<Receiving, Error> {
    let mut receiving = Receiving::begin(app)?;
    while let Some(chunk) = field.chunk().await.map_err(|_| Error::Cancelled)? {
        receiving.write(chunk).await?;
    }
    Ok(receiving)
}

fn malformed() -> Error {
    Error::invalid("form", "must be multipart/form-data with name and archive")
}

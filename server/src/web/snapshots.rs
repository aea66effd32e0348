//! Snapshots as zip archives for programs without gRPC: fetched with GET, sent with PUT.

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode};
use membrane_proto::v1::SnapshotHeader;
use serde::Deserialize;
use serde_json::json;

use super::{Problem, files::send_archive};
use crate::{
    authz::Operation,
    error::Error,
    grpc::{decode, new_snapshot},
    id::SnapshotId,
    server::App,
    snapshots::Kind,
    uploads::Receiving,
};

/// Largest piece that is handed on, in bytes.
const PIECE: usize = 1 << 20;

/// What a snapshot is to be.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    title: String,
    pinned: bool,
    request_id: String,
}

/// Sends a snapshot as a zip archive.
pub async fn archive(
    State(app): State<App>,
    Path((workspace, snapshot)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.authenticator.principal(&headers).await?;
    let permit = app
        .permit_in(caller.as_ref(), Operation::ReadSnapshots, &workspace)
        .await?;
    let id = SnapshotId(decode::id(&snapshot, "snapshot")?);
    let chunks = app.snapshots.export(permit.workspace, id).await?;
    Ok(send_archive(chunks, "snapshot.zip").await?)
}

/// Makes a snapshot of a zip archive, the body. Answers 201 with the snapshot's id and digest.
pub async fn receive(
    State(app): State<App>,
    Path(workspace): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = app.authenticator.principal(&headers).await?;
    let permit = app
        .permit_in(caller.as_ref(), Operation::ManageSnapshots, &workspace)
        .await?;
    let header = SnapshotHeader {
        workspace_id: workspace,
        title: wanted.title,
        pinned: wanted.pinned,
        request_id: wanted.request_id,
    };
    let new = new_snapshot(header, &permit, "ImportSnapshot")?;
    let _sending = app.snapshots.begin_sending(permit.user_id())?;
    let mut receiving = Receiving::begin(&app)?;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let mut piece = piece.map_err(|_| Error::Cancelled)?;
        while !piece.is_empty() {
            let length = piece.len().min(PIECE);
            receiving.write(piece.split_to(length)).await?;
        }
    }
    let (row, _) = app.snapshots.import(new, receiving, Kind::Received).await?;
    let made = json!({ "snapshot_id": row.id.to_string(), "tree_digest": row.tree });
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

//! ChangeService.

use std::{io::Read as _, pin::Pin};

use futures::{Stream, stream::try_unfold};
use membrane_entity::change_set;
use membrane_files::store::Blob;
use membrane_proto::v1::{self as proto, change_scope::Of, change_service_server::ChangeService};
use tonic::{Request, Status};

use super::{Answer, answer, decode, principal};
use crate::{
    authz::{Operation, Permit, Principal},
    changes::{Discard, Page, Scope},
    error::Error,
    files::{CHUNK, parse_path},
    id::{ChangeSetId, SessionId, SnapshotId},
    page::{self, Keyset},
    server::App,
    time::timestamp,
    uploads::blocking,
};

/// Tag of page tokens.
const CHANGE_SETS: u8 = 8;
/// Most context lines, and how many there are if none are asked for.
const MAX_CONTEXT: i32 = 100_000;
const DEFAULT_CONTEXT: usize = 3;
/// Most files and hunks that one call names.
const MAX_NAMED: usize = 10_000;

pub struct Service(pub App);

#[tonic::async_trait]
impl ChangeService for Service {
    type ReadChangedFileStream =
        Pin<Box<dyn Stream<Item = Result<proto::ReadChangedFileResponse, Status>> + Send>>;

    async fn list_change_sets(
        &self,
        request: Request<proto::ListChangeSetsRequest>,
    ) -> Answer<proto::ListChangeSetsResponse> {
        let caller = principal(&request);
        answer(self.sets(caller, request.into_inner()).await)
    }

    async fn get_change_set(
        &self,
        request: Request<proto::GetChangeSetRequest>,
    ) -> Answer<proto::GetChangeSetResponse> {
        let caller = principal(&request);
        answer(self.set(caller, request.into_inner()).await)
    }

    async fn list_changes(
        &self,
        request: Request<proto::ListChangesRequest>,
    ) -> Answer<proto::ListChangesResponse> {
        let caller = principal(&request);
        answer(self.list(caller, request.into_inner()).await)
    }

    async fn get_file_diff(
        &self,
        request: Request<proto::GetFileDiffRequest>,
    ) -> Answer<proto::GetFileDiffResponse> {
        let caller = principal(&request);
        answer(self.diff(caller, request.into_inner()).await)
    }

    async fn read_changed_file(
        &self,
        request: Request<proto::ReadChangedFileRequest>,
    ) -> Answer<Self::ReadChangedFileStream> {
        let caller = principal(&request);
        let blob = self.contents(caller, request.into_inner()).await;
        answer(blob.map(|blob| Box::pin(parts(blob)) as Self::ReadChangedFileStream))
    }

    async fn discard_changes(
        &self,
        request: Request<proto::DiscardChangesRequest>,
    ) -> Answer<proto::DiscardChangesResponse> {
        let caller = principal(&request);
        answer(self.discard(caller, request.into_inner()).await)
    }
}

impl Service {
    async fn may_read(&self, caller: Option<Principal>, workspace: &str) -> Result<Permit, Error> {
        self.0
            .permit_in(caller.as_ref(), Operation::ReadFiles, workspace)
            .await
    }

    async fn sets(
        &self,
        caller: Option<Principal>,
        request: proto::ListChangeSetsRequest,
    ) -> Result<proto::ListChangeSetsResponse, Error> {
        let permit = self.may_read(caller, &request.workspace_id).await?;
        let session = match request.session_id.as_str() {
            "" => None,
            id => Some(SessionId(decode::id(id, "session")?)),
        };
        if let Some(id) = session {
            self.0.changes.session_in(permit.workspace, id).await?;
        }
        let page = page::Page::parse(CHANGE_SETS, request.page_size, &request.page_token)?;
        let database = &self.0.database;
        let mut rows = database
            .list_change_sets(permit.workspace, session, &page)
            .await?;
        let next_page_token = page.cut(&mut rows, |row| Keyset {
            time: row.create_time,
            id: row.id,
        });
        Ok(proto::ListChangeSetsResponse {
            change_sets: rows.into_iter().map(encode).collect::<Result<_, _>>()?,
            next_page_token,
        })
    }

    async fn set(
        &self,
        caller: Option<Principal>,
        request: proto::GetChangeSetRequest,
    ) -> Result<proto::GetChangeSetResponse, Error> {
        let permit = self.may_read(caller, &request.workspace_id).await?;
        let id = ChangeSetId(decode::id(&request.change_set_id, "change set")?);
        let row = self.0.database.change_set(permit.workspace, id).await?;
        let row = row.ok_or(Error::NotFound("change set"))?;
        Ok(proto::GetChangeSetResponse {
            change_set: Some(encode(row)?),
        })
    }

    async fn list(
        &self,
        caller: Option<Principal>,
        request: proto::ListChangesRequest,
    ) -> Result<proto::ListChangesResponse, Error> {
        let permit = self.may_read(caller, &request.workspace_id).await?;
        let scope = scope(request.scope)?;
        let page = Page::parse(request.page_size, &request.page_token)?;
        self.0.changes.list(permit.workspace, scope, page).await
    }

    async fn diff(
        &self,
        caller: Option<Principal>,
        request: proto::GetFileDiffRequest,
    ) -> Result<proto::GetFileDiffResponse, Error> {
        let permit = self.may_read(caller, &request.workspace_id).await?;
        let scope = scope(request.scope)?;
        let path = parse_path("path", &request.path)?;
        let context = context(request.context_lines)?;
        self.0
            .changes
            .file_diff(permit.workspace, scope, path, context)
            .await
    }

    async fn contents(
        &self,
        caller: Option<Principal>,
        request: proto::ReadChangedFileRequest,
    ) -> Result<Blob, Error> {
        let permit = self.may_read(caller, &request.workspace_id).await?;
        let side = request.side();
        if side == proto::ChangeSide::Unspecified {
            return Err(Error::invalid("side", "must be one of the named values"));
        }
        let scope = scope(request.scope)?;
        let path = parse_path("path", &request.path)?;
        self.0
            .changes
            .contents(permit.workspace, scope, path, side)
            .await
    }

    async fn discard(
        &self,
        caller: Option<Principal>,
        request: proto::DiscardChangesRequest,
    ) -> Result<proto::DiscardChangesResponse, Error> {
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::ChangeFiles,
                &request.workspace_id,
            )
            .await?;
        let scope = scope(request.scope)?;
        if request.paths.len().max(request.hunk_ids.len()) > MAX_NAMED {
            return Err(Error::invalid(
                "paths",
                format!("must be at most {MAX_NAMED}"),
            ));
        }
        let what = Discard {
            paths: request
                .paths
                .iter()
                .map(|path| parse_path("paths", path))
                .collect::<Result<_, _>>()?,
            hunks: request.hunk_ids,
            context: context(request.context_lines)?,
            etag: request.etag,
        };
        let _alone = self.0.sessions.alone_in(permit.workspace).await?;
        let discarded = self
            .0
            .changes
            .discard(permit.workspace, scope, what)
            .await?;
        self.0.files.refresh(permit.workspace);
        let texts =
            |paths: Vec<membrane_files::TreePath>| paths.iter().map(ToString::to_string).collect();
        Ok(proto::DiscardChangesResponse {
            discarded_paths: texts(discarded.done),
            conflicting_paths: texts(discarded.conflicting),
        })
    }
}

fn scope(scope: Option<proto::ChangeScope>) -> Result<Scope, Error> {
    match scope.and_then(|scope| scope.of) {
        Some(Of::ChangeSetId(id)) => Ok(Scope::Set(ChangeSetId(decode::id(&id, "change set")?))),
        Some(Of::SessionId(id)) => Ok(Scope::Session(SessionId(decode::id(&id, "session")?))),
        Some(Of::Snapshots(pair)) => {
            let before = SnapshotId(decode::id(&pair.before_id, "snapshot")?);
            let after = match pair.after_id.as_str() {
                "" => None,
                id => Some(SnapshotId(decode::id(id, "snapshot")?)),
            };
            Ok(Scope::Snapshots(before, after))
        }
        None => Err(Error::invalid("scope", "is required")),
    }
}

fn context(lines: i32) -> Result<usize, Error> {
    match lines {
        0 => Ok(DEFAULT_CONTEXT),
        -1 => Ok(0),
        1..=MAX_CONTEXT => Ok(usize::try_from(lines).unwrap_or(DEFAULT_CONTEXT)),
        _ => Err(Error::invalid(
            "context_lines",
            format!("must be -1 to {MAX_CONTEXT}"),
        )),
    }
}

fn encode(row: change_set::Model) -> Result<proto::ChangeSet, Error> {
    let kind = match row.kind.as_str() {
        "turn" => proto::ChangeSetKind::Turn,
        _ => proto::ChangeSetKind::People,
    };
    let skipped_paths = serde_json::from_str(&row.skipped)
        .map_err(|error| Error::Internal(format!("skipped paths can't be read: {error}")))?;
    Ok(proto::ChangeSet {
        id: row.id.to_string(),
        kind: kind.into(),
        session_id: row.session_id.to_string(),
        turn_id: row.turn_id.to_string(),
        create_time: Some(timestamp(row.create_time)),
        summary: Some(proto::ChangeSummary {
            file_count: row.file_count,
            lines_added: row.lines_added,
            lines_removed: row.lines_removed,
        }),
        skipped_paths,
    })
}

/// Contents part by part. No thread waits for a slow reader.
fn parts(blob: Blob) -> impl Stream<Item = Result<proto::ReadChangedFileResponse, Status>> {
    try_unfold(blob, |mut blob| async move {
        let read = blocking(move || {
            let mut data = Vec::with_capacity(CHUNK);
            blob.by_ref().take(CHUNK as u64).read_to_end(&mut data)?;
            Ok((data, blob))
        });
        let (data, blob) = read.await?;
        let part = proto::ReadChangedFileResponse { data: data.into() };
        Ok((!part.data.is_empty()).then_some((part, blob)))
    })
}

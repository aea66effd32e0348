//! SnapshotService.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use membrane_files::TreePath;
use membrane_proto::v1::{
    self as proto, import_snapshot_request::Part as ImportPart,
    snapshot_service_server::SnapshotService,
};
use tonic::{Request, Status, Streaming};

use super::{Answer, answer, decode, principal};
use crate::{
    authz::{Operation, Permit, Principal},
    db::RequestKey,
    error::Error,
    files::parse_path,
    id::SnapshotId,
    page::{Keyset, Page},
    server::App,
    snapshots::{Kind, NewSnapshot},
    uploads::Receiving,
};

pub(super) mod sync;
mod wire;

use wire::encode;

/// Tag of page tokens.
const SNAPSHOTS: u8 = 12;
/// Most paths or digests that one call names.
const MAX_NAMED: usize = 10_000;
/// Longest title in characters.
const MAX_TITLE: usize = 100;

pub struct Service(pub App);

type Parts<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl SnapshotService for Service {
    type ExportSnapshotStream = Parts<proto::ExportSnapshotResponse>;
    type ReadManifestStream = Parts<proto::ReadManifestResponse>;
    type DownloadBlobsStream = Parts<proto::DownloadBlobsResponse>;

    async fn create_snapshot(
        &self,
        request: Request<proto::CreateSnapshotRequest>,
    ) -> Answer<proto::CreateSnapshotResponse> {
        let caller = principal(&request);
        answer(self.create(caller, request.into_inner()).await)
    }

    async fn list_snapshots(
        &self,
        request: Request<proto::ListSnapshotsRequest>,
    ) -> Answer<proto::ListSnapshotsResponse> {
        let caller = principal(&request);
        answer(self.list(caller, request.into_inner()).await)
    }

    async fn get_snapshot(
        &self,
        request: Request<proto::GetSnapshotRequest>,
    ) -> Answer<proto::GetSnapshotResponse> {
        let caller = principal(&request);
        answer(self.get(caller, request.into_inner()).await)
    }

    async fn update_snapshot(
        &self,
        request: Request<proto::UpdateSnapshotRequest>,
    ) -> Answer<proto::UpdateSnapshotResponse> {
        let caller = principal(&request);
        answer(self.update(caller, request.into_inner()).await)
    }

    async fn delete_snapshot(
        &self,
        request: Request<proto::DeleteSnapshotRequest>,
    ) -> Answer<proto::DeleteSnapshotResponse> {
        let caller = principal(&request);
        answer(self.delete(caller, request.into_inner()).await)
    }

    async fn restore_snapshot(
        &self,
        request: Request<proto::RestoreSnapshotRequest>,
    ) -> Answer<proto::RestoreSnapshotResponse> {
        let caller = principal(&request);
        answer(self.restore(caller, request.into_inner()).await)
    }

    async fn export_snapshot(
        &self,
        request: Request<proto::ExportSnapshotRequest>,
    ) -> Answer<Self::ExportSnapshotStream> {
        let caller = principal(&request);
        answer(self.export(caller, request.into_inner()).await)
    }

    async fn import_snapshot(
        &self,
        request: Request<Streaming<proto::ImportSnapshotRequest>>,
    ) -> Answer<proto::ImportSnapshotResponse> {
        let caller = principal(&request);
        answer(self.import(caller, request.into_inner()).await)
    }

    async fn read_manifest(
        &self,
        request: Request<proto::ReadManifestRequest>,
    ) -> Answer<Self::ReadManifestStream> {
        let caller = principal(&request);
        answer(self.manifest(caller, request.into_inner()).await)
    }

    async fn download_blobs(
        &self,
        request: Request<proto::DownloadBlobsRequest>,
    ) -> Answer<Self::DownloadBlobsStream> {
        let caller = principal(&request);
        answer(self.download(caller, request.into_inner()).await)
    }

    async fn find_missing_blobs(
        &self,
        request: Request<proto::FindMissingBlobsRequest>,
    ) -> Answer<proto::FindMissingBlobsResponse> {
        let caller = principal(&request);
        answer(self.missing(caller, request.into_inner()).await)
    }

    async fn upload_blobs(
        &self,
        request: Request<Streaming<proto::UploadBlobsRequest>>,
    ) -> Answer<proto::UploadBlobsResponse> {
        let caller = principal(&request);
        answer(self.upload(caller, request.into_inner()).await)
    }

    async fn commit_snapshot(
        &self,
        request: Request<Streaming<proto::CommitSnapshotRequest>>,
    ) -> Answer<proto::CommitSnapshotResponse> {
        let caller = principal(&request);
        answer(self.commit(caller, request.into_inner()).await)
    }
}

impl Service {
    async fn may_read(&self, caller: Option<Principal>, workspace: &str) -> Result<Permit, Error> {
        let read = Operation::ReadSnapshots;
        self.0.permit_in(caller.as_ref(), read, workspace).await
    }

    async fn may_manage(
        &self,
        caller: Option<Principal>,
        workspace: &str,
    ) -> Result<Permit, Error> {
        let manage = Operation::ManageSnapshots;
        self.0.permit_in(caller.as_ref(), manage, workspace).await
    }

    async fn create(
        &self,
        caller: Option<Principal>,
        request: proto::CreateSnapshotRequest,
    ) -> Result<proto::CreateSnapshotResponse, Error> {
        let permit = self.may_manage(caller, &request.workspace_id).await?;
        let header = proto::SnapshotHeader {
            workspace_id: request.workspace_id,
            title: request.title,
            pinned: request.pinned,
            request_id: request.request_id,
        };
        let new = new_snapshot(header, &permit, "CreateSnapshot")?;
        let row = self.0.snapshots.take(new, Kind::Taken).await?;
        Ok(proto::CreateSnapshotResponse {
            snapshot: Some(encode(row)?),
        })
    }

    async fn list(
        &self,
        caller: Option<Principal>,
        request: proto::ListSnapshotsRequest,
    ) -> Result<proto::ListSnapshotsResponse, Error> {
        let permit = self.may_read(caller, &request.workspace_id).await?;
        let page = Page::parse(SNAPSHOTS, request.page_size, &request.page_token)?;
        let listed = self
            .0
            .database
            .list_snapshots(permit.workspace, &page)
            .await;
        let mut rows = listed?;
        let next_page_token = page.cut(&mut rows, |row| Keyset {
            time: row.create_time,
            id: row.id,
        });
        Ok(proto::ListSnapshotsResponse {
            snapshots: rows.into_iter().map(encode).collect::<Result<_, _>>()?,
            next_page_token,
        })
    }

    async fn get(
        &self,
        caller: Option<Principal>,
        request: proto::GetSnapshotRequest,
    ) -> Result<proto::GetSnapshotResponse, Error> {
        let permit = self.may_read(caller, &request.workspace_id).await?;
        let id = snapshot_id(&request.snapshot_id)?;
        let row = self.0.snapshots.get(permit.workspace, id).await?;
        Ok(proto::GetSnapshotResponse {
            snapshot: Some(encode(row)?),
        })
    }

    async fn update(
        &self,
        caller: Option<Principal>,
        request: proto::UpdateSnapshotRequest,
    ) -> Result<proto::UpdateSnapshotResponse, Error> {
        let permit = self.may_manage(caller, &request.workspace_id).await?;
        let given = request.snapshot.unwrap_or_default();
        let id = snapshot_id(&given.id)?;
        let (mut title, mut pinned) = (None, None);
        for path in decode::mask(request.update_mask)? {
            match path.as_str() {
                "title" => title = Some(self::title("snapshot.title", &given.title)?),
                "pinned" => pinned = Some(given.pinned),
                _ => {
                    let message = format!("a snapshot's {path:?} can't be changed");
                    return Err(Error::invalid("update_mask", message));
                }
            }
        }
        let snapshots = &self.0.snapshots;
        let row = snapshots
            .update(permit.workspace, id, title, pinned)
            .await?;
        Ok(proto::UpdateSnapshotResponse {
            snapshot: Some(encode(row)?),
        })
    }

    async fn delete(
        &self,
        caller: Option<Principal>,
        request: proto::DeleteSnapshotRequest,
    ) -> Result<proto::DeleteSnapshotResponse, Error> {
        let permit = self.may_manage(caller, &request.workspace_id).await?;
        let id = snapshot_id(&request.snapshot_id)?;
        self.0.snapshots.delete(permit.workspace, id).await?;
        Ok(proto::DeleteSnapshotResponse {})
    }

    async fn restore(
        &self,
        caller: Option<Principal>,
        request: proto::RestoreSnapshotRequest,
    ) -> Result<proto::RestoreSnapshotResponse, Error> {
        let operation = Operation::RestoreSnapshot;
        let permit = self
            .0
            .permit_in(caller.as_ref(), operation, &request.workspace_id)
            .await?;
        let id = snapshot_id(&request.snapshot_id)?;
        check_named("paths", request.paths.len())?;
        let paths = request.paths.iter().map(|path| parse_path("paths", path));
        let paths: Vec<TreePath> = paths.collect::<Result<_, _>>()?;
        let _alone = self.0.sessions.alone_in(permit.workspace).await?;
        let restored = self
            .0
            .snapshots
            .restore(permit.workspace, permit.user_id(), id, paths)
            .await?;
        let Some(restored) = restored else {
            return Ok(proto::RestoreSnapshotResponse::default());
        };
        Ok(proto::RestoreSnapshotResponse {
            before: Some(encode(restored.before)?),
            changed_count: i32::try_from(restored.changed).unwrap_or(i32::MAX),
        })
    }

    async fn export(
        &self,
        caller: Option<Principal>,
        request: proto::ExportSnapshotRequest,
    ) -> Result<Parts<proto::ExportSnapshotResponse>, Error> {
        let permit = self.may_read(caller, &request.workspace_id).await?;
        let id = snapshot_id(&request.snapshot_id)?;
        let chunks = self.0.snapshots.export(permit.workspace, id).await?;
        Ok(Box::pin(chunks.map(|chunk| {
            let chunk = chunk?;
            Ok(proto::ExportSnapshotResponse { chunk })
        })))
    }

    async fn import(
        &self,
        caller: Option<Principal>,
        mut parts: Streaming<proto::ImportSnapshotRequest>,
    ) -> Result<proto::ImportSnapshotResponse, Error> {
        let first = next(&mut parts).await?.and_then(|message| message.part);
        let Some(ImportPart::Header(header)) = first else {
            return Err(header_first());
        };
        let permit = self.may_manage(caller, &header.workspace_id).await?;
        let new = new_snapshot(header, &permit, "ImportSnapshot")?;
        let _sending = self.0.snapshots.begin_sending(permit.user_id())?;
        let mut receiving = Receiving::begin(&self.0)?;
        while let Some(message) = next(&mut parts).await? {
            let Some(ImportPart::Chunk(chunk)) = message.part else {
                return Err(Error::invalid("header", "must be sent once"));
            };
            receiving.write(chunk).await?;
        }
        let (row, summary) = self
            .0
            .snapshots
            .import(new, receiving, Kind::Received)
            .await?;
        let dropped = summary.dropped.iter().take(100);
        Ok(proto::ImportSnapshotResponse {
            snapshot: Some(encode(row)?),
            dropped: dropped.map(ToString::to_string).collect(),
        })
    }
}

/// The next message of a stream.
async fn next<T>(parts: &mut Streaming<T>) -> Result<Option<T>, Error> {
    parts.message().await.map_err(|_| Error::Cancelled)
}

fn header_first() -> Error {
    Error::invalid("header", "must be the first message of the stream")
}

/// A snapshot to make, as a query or a message describes it.
pub fn new_snapshot(
    header: proto::SnapshotHeader,
    permit: &Permit,
    method: &'static str,
) -> Result<NewSnapshot, Error> {
    Ok(NewSnapshot {
        workspace: permit.workspace,
        user: permit.user_id(),
        title: title("title", &header.title)?,
        pinned: header.pinned,
        key: Some(RequestKey {
            user_id: permit.user_id(),
            request_id: decode::request_id(&header.request_id)?,
            method,
        }),
    })
}

fn title(field: &str, text: &str) -> Result<String, Error> {
    match text.trim() {
        "" => Ok(String::new()),
        text => decode::name(field, text, MAX_TITLE),
    }
}

fn snapshot_id(text: &str) -> Result<SnapshotId, Error> {
    decode::id(text, "snapshot").map(SnapshotId)
}

fn check_named(field: &str, count: usize) -> Result<(), Error> {
    if count > MAX_NAMED {
        return Err(Error::invalid(
            field,
            format!("must be at most {MAX_NAMED}"),
        ));
    }
    Ok(())
}

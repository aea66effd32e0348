//! Uploads.

use membrane_files::root::Kind;
use membrane_proto::v1 as proto;

use super::{Service, encode, signed, unsigned};
use crate::{
    authz::{Operation, Principal},
    db::RequestKey,
    error::Error,
    files::{NewUpload, Upload, parse_path},
    grpc::decode,
    time::timestamp,
};

impl Service {
    pub(super) async fn begin(
        &self,
        caller: Option<Principal>,
        request: proto::CreateUploadRequest,
    ) -> Result<proto::CreateUploadResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ChangeFiles, id)
            .await?;
        let new = NewUpload {
            path: parse_path("path", &request.path)?,
            size: unsigned("size", request.size)?,
            overwrite: request.overwrite,
            unpack: request.unpack,
        };
        let key = RequestKey {
            user_id: permit.user_id(),
            request_id: decode::request_id(&request.request_id)?,
            method: "CreateUpload",
        };
        let (files, database) = (&self.0.files, &self.0.database);
        let upload = files
            .create_upload(database, permit.workspace, new, key)
            .await?;
        let upload = Some(encode_upload(upload));
        Ok(proto::CreateUploadResponse { upload })
    }

    pub(super) async fn upload(
        &self,
        caller: Option<Principal>,
        request: proto::GetUploadRequest,
    ) -> Result<proto::GetUploadResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::SendUpload, id)
            .await?;
        let upload = decode::id(&request.upload_id, "upload")?;
        let upload = self.0.files.upload(permit.workspace, upload).await?;
        let upload = Some(encode_upload(upload));
        Ok(proto::GetUploadResponse { upload })
    }

    pub(super) async fn add(
        &self,
        caller: Option<Principal>,
        request: proto::WriteUploadRequest,
    ) -> Result<proto::WriteUploadResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::SendUpload, id)
            .await?;
        let upload = decode::id(&request.upload_id, "upload")?;
        let offset = unsigned("offset", request.offset)?;
        let (files, data) = (&self.0.files, request.data);
        let upload = files
            .write_upload(permit.workspace, upload, offset, data)
            .await?;
        let upload = Some(encode_upload(upload));
        Ok(proto::WriteUploadResponse { upload })
    }

    pub(super) async fn finish(
        &self,
        caller: Option<Principal>,
        request: proto::FinishUploadRequest,
    ) -> Result<proto::FinishUploadResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ChangeFiles, id)
            .await?;
        let upload = decode::id(&request.upload_id, "upload")?;
        let finished = self.0.files.finish_upload(permit.workspace, upload).await?;
        // An unpacked archive goes among what is there: it can't be told from the agent's work.
        if finished.entry.kind == Kind::File {
            let path = &finished.entry.path;
            self.0.changes.person_touched(permit.workspace, path).await;
        }
        let dropped = finished.summary.dropped.iter().take(100);
        Ok(proto::FinishUploadResponse {
            file: Some(encode(&finished.entry)),
            file_count: signed(finished.summary.files),
            total_bytes: signed(finished.summary.total_bytes),
            dropped: dropped.map(ToString::to_string).collect(),
        })
    }

    pub(super) async fn cancel(
        &self,
        caller: Option<Principal>,
        request: proto::CancelUploadRequest,
    ) -> Result<proto::CancelUploadResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ChangeFiles, id)
            .await?;
        if let Ok(upload) = decode::id(&request.upload_id, "upload") {
            self.0.files.cancel_upload(permit.workspace, upload).await?;
        }
        Ok(proto::CancelUploadResponse {})
    }
}

fn encode_upload(upload: Upload) -> proto::Upload {
    proto::Upload {
        id: upload.id.to_string(),
        path: upload.path,
        size: signed(upload.size),
        received: signed(upload.received),
        expire_time: Some(timestamp(upload.expire_time)),
    }
}

//! What is streamed out.

use futures::{Stream, StreamExt as _, stream::once};
use membrane_proto::v1::{self as proto, read_file_response::Part};

use super::{Service, encode, etag, unsigned};
use crate::{
    authz::{Operation, Principal},
    error::Error,
    files::parse_path,
};

impl Service {
    pub(super) async fn read(
        &self,
        caller: Option<Principal>,
        request: proto::ReadFileRequest,
    ) -> Result<impl Stream<Item = Result<proto::ReadFileResponse, Error>> + Send + 'static, Error>
    {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ReadFiles, id)
            .await?;
        let path = parse_path("path", &request.path)?;
        let offset = unsigned("offset", request.offset)?;
        let length = match unsigned("length", request.length)? {
            0 => u64::MAX,
            length => length,
        };
        let etag = etag(&request.etag);
        let download = self.0.files.open(permit.workspace, path, etag).await?;
        let head = Part::File(encode(download.entry()));
        let data = download
            .chunks(offset, length)
            .map(|data| data.map(Part::Data));
        let parts = once(async move { Ok(head) }).chain(data);
        Ok(parts.map(|part| {
            let part = Some(part?);
            Ok(proto::ReadFileResponse { part })
        }))
    }

    pub(super) async fn export(
        &self,
        caller: Option<Principal>,
        request: proto::ExportFilesRequest,
    ) -> Result<impl Stream<Item = Result<proto::ExportFilesResponse, Error>> + Send + 'static, Error>
    {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ReadFiles, id)
            .await?;
        let path = parse_path("path", &request.path)?;
        let chunks = self.0.files.export(permit.workspace, path)?;
        Ok(chunks.map(|chunk| Ok(proto::ExportFilesResponse { chunk: chunk? })))
    }
}

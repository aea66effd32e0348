//! Listing and changing the tree.

use membrane_files::root::{Condition, Place, Root};
use membrane_proto::v1 as proto;

use super::{FILES, Service, encode, etag};
use crate::{
    authz::{Operation, Principal},
    error::Error,
    files::parse_path,
    page,
};

const DEFAULT_PAGE: usize = 500;
const MAX_PAGE: usize = 2_000;
/// Largest file that is written in one message, in bytes.
const MAX_CONTENT: usize = 3 << 20;

impl Service {
    pub(super) async fn list(
        &self,
        caller: Option<Principal>,
        request: proto::ListFilesRequest,
    ) -> Result<proto::ListFilesResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ReadFiles, id)
            .await?;
        let path = parse_path("path", &request.path)?;
        let size = page::size(request.page_size, DEFAULT_PAGE, MAX_PAGE)?;
        let after = page::open(FILES, &request.page_token, Place::from_bytes)?;
        let list = move |root: &Root| root.list(&path, after.as_ref(), size);
        let listing = self.0.files.read(permit.workspace, list).await?;
        Ok(proto::ListFilesResponse {
            files: listing.entries.iter().map(encode).collect(),
            next_page_token: listing
                .next
                .map(|place| page::seal(FILES, &place.to_bytes()))
                .unwrap_or_default(),
        })
    }

    pub(super) async fn get(
        &self,
        caller: Option<Principal>,
        request: proto::GetFileRequest,
    ) -> Result<proto::GetFileResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ReadFiles, id)
            .await?;
        let path = parse_path("path", &request.path)?;
        let stat = self
            .0
            .files
            .read(permit.workspace, move |root| root.stat(&path));
        let file = Some(encode(&stat.await?));
        Ok(proto::GetFileResponse { file })
    }

    pub(super) async fn write(
        &self,
        caller: Option<Principal>,
        request: proto::WriteFileRequest,
    ) -> Result<proto::WriteFileResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ChangeFiles, id)
            .await?;
        let path = parse_path("path", &request.path)?;
        let condition = condition(&request)?;
        let content = request.content;
        if content.len() > MAX_CONTENT {
            return Err(Error::invalid(
                "content",
                "must have at most 3 MiB; upload it",
            ));
        }
        let write = move |root: &Root| root.write(&path, &content, &condition);
        let entry = self.change(permit.workspace, write).await?;
        let file = Some(encode(&entry));
        Ok(proto::WriteFileResponse { file })
    }

    pub(super) async fn create(
        &self,
        caller: Option<Principal>,
        request: proto::CreateDirectoryRequest,
    ) -> Result<proto::CreateDirectoryResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ChangeFiles, id)
            .await?;
        let path = parse_path("path", &request.path)?;
        let create = move |root: &Root| root.create_directory(&path);
        let entry = self.change(permit.workspace, create).await?;
        let file = Some(encode(&entry));
        Ok(proto::CreateDirectoryResponse { file })
    }

    pub(super) async fn rename(
        &self,
        caller: Option<Principal>,
        request: proto::MoveFileRequest,
    ) -> Result<proto::MoveFileResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ChangeFiles, id)
            .await?;
        let from = parse_path("path", &request.path)?;
        let to = parse_path("new_path", &request.new_path)?;
        let etag = etag(&request.etag);
        let gone = from.clone();
        let rename = move |root: &Root| root.rename(&from, &to, etag.as_ref());
        let entry = self.change(permit.workspace, rename).await?;
        self.0.changes.person_touched(permit.workspace, &gone).await;
        let file = Some(encode(&entry));
        Ok(proto::MoveFileResponse { file })
    }

    pub(super) async fn copy(
        &self,
        caller: Option<Principal>,
        request: proto::CopyFileRequest,
    ) -> Result<proto::CopyFileResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ChangeFiles, id)
            .await?;
        let from = parse_path("path", &request.path)?;
        let to = parse_path("new_path", &request.new_path)?;
        let copy = move |root: &Root| root.copy(&from, &to);
        let entry = self.change(permit.workspace, copy).await?;
        let file = Some(encode(&entry));
        Ok(proto::CopyFileResponse { file })
    }
}

fn condition(request: &proto::WriteFileRequest) -> Result<Condition, Error> {
    match (etag(&request.etag), request.create_only) {
        (Some(_), true) => Err(Error::invalid(
            "create_only",
            "contradicts an etag, which only a file that is there has",
        )),
        (Some(etag), false) => Ok(Condition::Unchanged(etag)),
        (None, true) => Ok(Condition::Absent),
        (None, false) => Ok(Condition::None),
    }
}

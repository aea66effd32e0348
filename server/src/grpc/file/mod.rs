//! FileService.

use futures::{Stream, StreamExt as _};
use membrane_files::root::{self, Entry, Etag, Kind, Root};
use membrane_proto::v1::{self as proto, file_service_server::FileService};
use prost_types::Timestamp;
use std::pin::Pin;
use tonic::{Request, Response, Status};

use super::{Answer, answer, principal};
use crate::{
    authz::{Operation, Permit, Principal},
    error::Error,
    id::WorkspaceId,
    server::App,
};

mod preview;
mod search;
mod streams;
mod trash;
mod tree;
mod uploads;

/// Tags of page tokens.
const FILES: u8 = 6;
const TRASH: u8 = 7;

#[derive(Clone)]
pub struct Service(pub App);

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A handler that passes on to a method of this name and answers one message.
macro_rules! unary {
    ($($name:ident($request:ident) -> $response:ident => $method:ident;)*) => {
        #[tonic::async_trait]
        impl FileService for Service {
            type ReadFileStream = Messages<proto::ReadFileResponse>;
            type ExportFilesStream = Messages<proto::ExportFilesResponse>;
            type SearchFilesStream = Messages<proto::SearchFilesResponse>;

            $(async fn $name(&self, request: Request<proto::$request>) -> Answer<proto::$response> {
                let caller = principal(&request);
                answer(self.$method(caller, request.into_inner()).await)
            })*

            async fn read_file(
                &self,
                request: Request<proto::ReadFileRequest>,
            ) -> Answer<Self::ReadFileStream> {
                let caller = principal(&request);
                let parts = self.read(caller, request.into_inner()).await?;
                Ok(Response::new(Box::pin(parts.map(|part| part.map_err(Status::from)))))
            }

            async fn export_files(
                &self,
                request: Request<proto::ExportFilesRequest>,
            ) -> Answer<Self::ExportFilesStream> {
                let caller = principal(&request);
                let chunks = self.export(caller, request.into_inner()).await?;
                Ok(Response::new(Box::pin(chunks.map(|chunk| chunk.map_err(Status::from)))))
            }

            async fn search_files(
                &self,
                request: Request<proto::SearchFilesRequest>,
            ) -> Answer<Self::SearchFilesStream> {
                let caller = principal(&request);
                let parts = self.search(caller, request.into_inner()).await?;
                Ok(Response::new(Box::pin(parts.map(|part| part.map_err(Status::from)))))
            }
        }
    };
}

unary! {
    list_files(ListFilesRequest) -> ListFilesResponse => list;
    get_file(GetFileRequest) -> GetFileResponse => get;
    write_file(WriteFileRequest) -> WriteFileResponse => write;
    create_directory(CreateDirectoryRequest) -> CreateDirectoryResponse => create;
    move_file(MoveFileRequest) -> MoveFileResponse => rename;
    copy_file(CopyFileRequest) -> CopyFileResponse => copy;
    delete_file(DeleteFileRequest) -> DeleteFileResponse => delete;
    list_trash(ListTrashRequest) -> ListTrashResponse => trash;
    restore_file(RestoreFileRequest) -> RestoreFileResponse => restore;
    empty_trash(EmptyTrashRequest) -> EmptyTrashResponse => empty;
    create_upload(CreateUploadRequest) -> CreateUploadResponse => begin;
    get_upload(GetUploadRequest) -> GetUploadResponse => upload;
    write_upload(WriteUploadRequest) -> WriteUploadResponse => add;
    finish_upload(FinishUploadRequest) -> FinishUploadResponse => finish;
    cancel_upload(CancelUploadRequest) -> CancelUploadResponse => cancel;
    get_preview(GetPreviewRequest) -> GetPreviewResponse => preview;
    find_files(FindFilesRequest) -> FindFilesResponse => find;
}

impl Service {
    async fn permit(
        &self,
        caller: Option<&Principal>,
        operation: Operation,
        workspace_id: &str,
    ) -> Result<Permit, Error> {
        self.0.permit_in(caller, operation, workspace_id).await
    }
}

fn encode(entry: &Entry) -> proto::File {
    let (seconds, nanos) = entry.modified;
    proto::File {
        path: entry.path.to_string(),
        kind: encode_kind(entry.kind).into(),
        size: signed(entry.size),
        update_time: Some(Timestamp {
            seconds,
            nanos: i32::try_from(nanos).unwrap_or(0),
        }),
        executable: entry.executable,
        link_target: membrane_files::spelled(&entry.link_target),
        etag: entry.etag.to_string(),
    }
}

impl Service {
    /// Makes one entry of the tree what a person wants, and notes that it was a person.
    async fn change(
        &self,
        workspace: WorkspaceId,
        work: impl FnOnce(&Root) -> Result<Entry, root::Error> + Send + 'static,
    ) -> Result<Entry, Error> {
        let entry = self.0.files.change(workspace, work).await?;
        self.0.changes.person_touched(workspace, &entry.path).await;
        Ok(entry)
    }
}

fn encode_kind(kind: Kind) -> proto::FileKind {
    match kind {
        Kind::File => proto::FileKind::File,
        Kind::Directory => proto::FileKind::Directory,
        Kind::Symlink => proto::FileKind::Symlink,
        Kind::Special => proto::FileKind::Special,
    }
}

fn etag(text: &str) -> Option<Etag> {
    (!text.is_empty()).then(|| Etag::new(text))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number of bytes that must not be negative.
fn unsigned(field: &str, number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| Error::invalid(field, "must not be negative"))
}

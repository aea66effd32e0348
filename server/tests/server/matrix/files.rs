//! FileService, and what its calls are about.

use membrane_files::root::Condition;
use membrane_proto::v1 as proto;
use membrane_server::{
    db::RequestKey,
    files::{NewUpload, parse_path},
    id::{UserId, WorkspaceId},
};
use uuid::Uuid;

use super::{Allowed, Method, one};
use crate::fixture::TestServer;

/// Puts a file, something in the trash and a complete upload into a workspace.
pub async fn furnish(server: &TestServer, id: WorkspaceId) -> (String, String) {
    let files = &server.app.files;
    let path = |text| parse_path("path", text).expect("a path");
    let (kept, deleted) = (path("file"), path("deleted"));
    let trash_id = files.trash_id();
    let write = files.change(id, move |root| {
        root.write(&kept, b"text", &Condition::None)?;
        root.write(&deleted, b"text", &Condition::None)?;
        root.delete(&deleted, None, trash_id)
    });
    let item = write.await.expect("furnished");
    let new = NewUpload {
        path: path("uploaded"),
        size: 0,
        overwrite: false,
        unpack: false,
    };
    let key = RequestKey {
        user_id: UserId(Uuid::nil()),
        request_id: None,
        method: "CreateUpload",
    };
    let upload = files.create_upload(&server.app.database, id, new, key);
    let upload = upload.await.expect("an upload");
    (item.id.to_string(), upload.id.to_string())
}

pub const METHODS: &[Method] = &[
    ("FileService/ListFiles", Allowed::Viewers, |place| {
        one(proto::ListFilesRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("FileService/GetFile", Allowed::Viewers, |place| {
        one(proto::GetFileRequest {
            workspace_id: place.workspace.clone(),
            path: "file".to_owned(),
        })
    }),
    ("FileService/ReadFile", Allowed::Viewers, |place| {
        one(proto::ReadFileRequest {
            workspace_id: place.workspace.clone(),
            path: "file".to_owned(),
            ..Default::default()
        })
    }),
    ("FileService/ExportFiles", Allowed::Viewers, |place| {
        one(proto::ExportFilesRequest {
            workspace_id: place.workspace.clone(),
            path: String::new(),
        })
    }),
    ("FileService/ListTrash", Allowed::Viewers, |place| {
        one(proto::ListTrashRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("FileService/WriteFile", Allowed::Editors, |place| {
        one(proto::WriteFileRequest {
            workspace_id: place.workspace.clone(),
            path: "file".to_owned(),
            ..Default::default()
        })
    }),
    ("FileService/CreateDirectory", Allowed::Editors, |place| {
        one(proto::CreateDirectoryRequest {
            workspace_id: place.workspace.clone(),
            path: "new".to_owned(),
        })
    }),
    ("FileService/MoveFile", Allowed::Editors, |place| {
        one(proto::MoveFileRequest {
            workspace_id: place.workspace.clone(),
            path: "file".to_owned(),
            new_path: "moved".to_owned(),
            etag: String::new(),
        })
    }),
    ("FileService/CopyFile", Allowed::Editors, |place| {
        one(proto::CopyFileRequest {
            workspace_id: place.workspace.clone(),
            path: "file".to_owned(),
            new_path: "copy".to_owned(),
        })
    }),
    ("FileService/DeleteFile", Allowed::Editors, |place| {
        one(proto::DeleteFileRequest {
            workspace_id: place.workspace.clone(),
            path: "file".to_owned(),
            etag: String::new(),
        })
    }),
    ("FileService/RestoreFile", Allowed::Editors, |place| {
        one(proto::RestoreFileRequest {
            workspace_id: place.workspace.clone(),
            trash_item_id: place.trashed.clone(),
            path: String::new(),
        })
    }),
    ("FileService/EmptyTrash", Allowed::Editors, |place| {
        one(proto::EmptyTrashRequest {
            workspace_id: place.workspace.clone(),
        })
    }),
    ("FileService/CreateUpload", Allowed::Editors, |place| {
        one(proto::CreateUploadRequest {
            workspace_id: place.workspace.clone(),
            path: "new".to_owned(),
            size: 1,
            ..Default::default()
        })
    }),
    ("FileService/GetUpload", Allowed::Editors, |place| {
        one(proto::GetUploadRequest {
            workspace_id: place.workspace.clone(),
            upload_id: place.upload.clone(),
        })
    }),
    ("FileService/WriteUpload", Allowed::Editors, |place| {
        one(proto::WriteUploadRequest {
            workspace_id: place.workspace.clone(),
            upload_id: place.upload.clone(),
            ..Default::default()
        })
    }),
    ("FileService/FinishUpload", Allowed::Editors, |place| {
        one(proto::FinishUploadRequest {
            workspace_id: place.workspace.clone(),
            upload_id: place.upload.clone(),
        })
    }),
    ("FileService/CancelUpload", Allowed::Editors, |place| {
        one(proto::CancelUploadRequest {
            workspace_id: place.workspace.clone(),
            upload_id: place.upload.clone(),
        })
    }),
    ("FileService/GetPreview", Allowed::Viewers, |place| {
        one(proto::GetPreviewRequest {
            workspace_id: place.workspace.clone(),
            path: "file".to_owned(),
            ..Default::default()
        })
    }),
    ("FileService/FindFiles", Allowed::Viewers, |place| {
        one(proto::FindFilesRequest {
            workspace_id: place.workspace.clone(),
            query: "file".to_owned(),
            ..Default::default()
        })
    }),
    ("FileService/SearchFiles", Allowed::Viewers, |place| {
        one(proto::SearchFilesRequest {
            workspace_id: place.workspace.clone(),
            pattern: "text".to_owned(),
            ..Default::default()
        })
    }),
];

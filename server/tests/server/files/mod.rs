//! FileService: what each method does, and each of its named errors.

use membrane_proto::v1::{self as proto, read_file_response::Part};
use membrane_server::id::WorkspaceId;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fixture::{Caller, TestServer, reason};

mod hostile;
mod preview;
mod tree;
mod uploads;
mod watching;

/// A workspace and somebody who works in it.
pub struct Desk {
    pub user: Caller,
    pub workspace: String,
}

impl Desk {
    pub async fn new(server: &TestServer) -> Self {
        let user = server.user("user").await;
        let workspace = user.new_workspace().await;
        Self { user, workspace }
    }

    pub fn id(&self) -> WorkspaceId {
        WorkspaceId(Uuid::parse_str(&self.workspace).expect("an id"))
    }

    pub async fn list(&self, path: &str) -> Result<Vec<String>, Status> {
        let (files, _) = self.page(path, 0, "").await?;
        Ok(files.into_iter().map(|file| file.path).collect())
    }

    pub async fn page(
        &self,
        path: &str,
        page_size: i32,
        page_token: &str,
    ) -> Result<(Vec<proto::File>, String), Status> {
        let request = proto::ListFilesRequest {
            workspace_id: self.workspace.clone(),
            path: path.to_owned(),
            page_size,
            page_token: page_token.to_owned(),
        };
        let answer = self.user.files().list_files(request).await?.into_inner();
        Ok((answer.files, answer.next_page_token))
    }

    pub async fn get(&self, path: &str) -> Result<proto::File, Status> {
        let request = proto::GetFileRequest {
            workspace_id: self.workspace.clone(),
            path: path.to_owned(),
        };
        let answer = self.user.files().get_file(request).await?;
        Ok(answer.into_inner().file.expect("a file"))
    }

    pub async fn read(&self, path: &str) -> Result<Vec<u8>, Status> {
        self.read_part(path, 0, 0, "").await
    }

    pub async fn read_part(
        &self,
        path: &str,
        offset: i64,
        length: i64,
        etag: &str,
    ) -> Result<Vec<u8>, Status> {
        let request = proto::ReadFileRequest {
            workspace_id: self.workspace.clone(),
            path: path.to_owned(),
            offset,
            length,
            etag: etag.to_owned(),
        };
        let mut parts = self.user.files().read_file(request).await?.into_inner();
        let first = parts.message().await?.and_then(|part| part.part);
        assert!(matches!(first, Some(Part::File(_))), "{first:?}");
        let mut bytes = Vec::new();
        while let Some(part) = parts.message().await? {
            match part.part {
                Some(Part::Data(data)) if data.len() <= 256 << 10 => bytes.extend(data),
                other => panic!("not a piece: {other:?}"),
            }
        }
        Ok(bytes)
    }

    /// What can be shown of a file.
    pub async fn preview(
        &self,
        path: &str,
        page_token: &str,
    ) -> Result<proto::preview::Kind, Status> {
        let request = proto::GetPreviewRequest {
            workspace_id: self.workspace.clone(),
            path: path.to_owned(),
            page_token: page_token.to_owned(),
            source: false,
        };
        let answer = self.user.files().get_preview(request).await?.into_inner();
        assert_eq!(answer.file.expect("a file").path, path);
        Ok(answer
            .preview
            .and_then(|preview| preview.kind)
            .expect("a kind"))
    }

    pub async fn write(&self, path: &str, text: &str) -> Result<proto::File, Status> {
        self.write_if(path, text, "", false).await
    }

    pub async fn write_if(
        &self,
        path: &str,
        text: &str,
        etag: &str,
        create_only: bool,
    ) -> Result<proto::File, Status> {
        let request = proto::WriteFileRequest {
            workspace_id: self.workspace.clone(),
            path: path.to_owned(),
            content: text.as_bytes().to_vec().into(),
            etag: etag.to_owned(),
            create_only,
        };
        let answer = self.user.files().write_file(request).await?;
        Ok(answer.into_inner().file.expect("a file"))
    }

    pub async fn create(&self, path: &str) -> Result<proto::File, Status> {
        let request = proto::CreateDirectoryRequest {
            workspace_id: self.workspace.clone(),
            path: path.to_owned(),
        };
        let answer = self.user.files().create_directory(request).await?;
        Ok(answer.into_inner().file.expect("a directory"))
    }

    pub async fn rename(&self, path: &str, new_path: &str) -> Result<proto::File, Status> {
        let request = proto::MoveFileRequest {
            workspace_id: self.workspace.clone(),
            path: path.to_owned(),
            new_path: new_path.to_owned(),
            etag: String::new(),
        };
        let answer = self.user.files().move_file(request).await?;
        Ok(answer.into_inner().file.expect("a file"))
    }

    pub async fn copy(&self, path: &str, new_path: &str) -> Result<proto::File, Status> {
        let request = proto::CopyFileRequest {
            workspace_id: self.workspace.clone(),
            path: path.to_owned(),
            new_path: new_path.to_owned(),
        };
        let answer = self.user.files().copy_file(request).await?;
        Ok(answer.into_inner().file.expect("a file"))
    }

    pub async fn delete(&self, path: &str) -> Result<proto::TrashItem, Status> {
        let request = proto::DeleteFileRequest {
            workspace_id: self.workspace.clone(),
            path: path.to_owned(),
            etag: String::new(),
        };
        let answer = self.user.files().delete_file(request).await?;
        Ok(answer.into_inner().item.expect("an item"))
    }

    pub async fn restore(&self, id: &str, path: &str) -> Result<proto::File, Status> {
        let request = proto::RestoreFileRequest {
            workspace_id: self.workspace.clone(),
            trash_item_id: id.to_owned(),
            path: path.to_owned(),
        };
        let answer = self.user.files().restore_file(request).await?;
        Ok(answer.into_inner().file.expect("a file"))
    }

    pub async fn export(&self, path: &str) -> Result<Vec<u8>, Status> {
        let request = proto::ExportFilesRequest {
            workspace_id: self.workspace.clone(),
            path: path.to_owned(),
        };
        let mut chunks = self.user.files().export_files(request).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(message) = chunks.message().await? {
            bytes.extend(message.chunk);
        }
        Ok(bytes)
    }
}

/// Asserts how something was refused.
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, word: &str) {
    let error = answer.expect_err("refused");
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (code, word),
        "{error:?}"
    );
}

/// Where a workspace's files are on this machine.
pub fn on_disk(server: &TestServer, workspace: &str) -> std::path::PathBuf {
    let workspaces = server.directory.path().join("workspaces");
    workspaces.join(workspace).join("files")
}

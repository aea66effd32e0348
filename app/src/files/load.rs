//! Reads entries of a workspace from the server.

use std::sync::Arc;

use membrane_proto::v1 as pb;
use serde::{Deserialize, Serialize};

use super::{
    content::Content,
    tree::{Directories, Directory},
};
use crate::{
    api::{self, ApiError, Wire},
    path,
};

/// Entries of the first page of a directory.
const FIRST_PAGE: i32 = 500;
/// Entries of each page after it, which is as many as the server gives.
const NEXT_PAGES: i32 = 2_000;

/// What is shown beside the tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Shown {
    /// The directory of this path.
    Directory(String),
    /// A file, or what is neither.
    File(Wire<pb::File>, Content),
    /// The entry of this path could not be read.
    Missing(String, ApiError),
}

impl Shown {
    /// The path of what is shown.
    pub fn path(&self) -> &str {
        match self {
            Self::Directory(path) | Self::Missing(path, _) => path,
            Self::File(file, _) => &file.0.path,
        }
    }

    /// The directories that are open in the tree when this is shown.
    pub fn open(&self) -> impl Iterator<Item = &str> {
        let itself = match self {
            Self::Directory(path) => Some(path.as_str()),
            _ => None,
        };
        path::ancestors(self.path()).into_iter().chain(itself)
    }
}

/// What a page is rendered with, and goes on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// What is shown.
    pub shown: Shown,
    pages: Vec<(String, Wire<pb::ListFilesResponse>)>,
}

impl Loaded {
    /// The directories that were read.
    pub fn directories(&self) -> Directories {
        let pages = self.pages.iter().cloned();
        pages
            .map(|(path, page)| (path, Directory::from(page.0)))
            .collect()
    }
}

impl From<pb::ListFilesResponse> for Directory {
    fn from(page: pb::ListFilesResponse) -> Self {
        Self {
            files: page.files.into_iter().map(Arc::new).collect(),
            next: page.next_page_token,
            problem: None,
        }
    }
}

/// Reads an entry, or its source, and of the directories above it those that are not known.
pub async fn load(
    workspace_id: String,
    path: String,
    source: bool,
    known: impl Fn(&str) -> bool,
) -> Loaded {
    let mut pages = Vec::new();
    for above in path::ancestors(&path) {
        if !known(above)
            && let Ok(page) = page(workspace_id.clone(), above.to_owned(), String::new()).await
        {
            pages.push((above.to_owned(), Wire(page)));
        }
    }
    let shown = match entry(workspace_id, path.clone(), source).await {
        Ok(Entry::Directory(page)) => {
            pages.push((path.clone(), Wire(page)));
            Shown::Directory(path)
        }
        Ok(Entry::File(file, content)) => Shown::File(Wire(file), content),
        Err(error) => Shown::Missing(path, error),
    };
    Loaded { shown, pages }
}

enum Entry {
    Directory(pb::ListFilesResponse),
    File(pb::File, Content),
}

async fn entry(workspace_id: String, path: String, source: bool) -> Result<Entry, ApiError> {
    if path.is_empty() {
        let page = page(workspace_id, path, String::new()).await?;
        return Ok(Entry::Directory(page));
    }
    let request = pb::GetFileRequest {
        workspace_id: workspace_id.clone(),
        path: path.clone(),
    };
    let answer = api::files().get_file(request).await?.into_inner();
    let file = answer.file.ok_or_else(ApiError::incomplete)?;
    let is_link = file.kind() == pb::FileKind::Symlink;
    if is_link || file.kind() == pb::FileKind::Directory {
        let page = page(workspace_id.clone(), path, String::new()).await;
        // A link that does not lead to a directory is shown as what it leads to.
        if !is_link || page.is_ok() {
            return Ok(Entry::Directory(page?));
        }
    }
    let content = content(workspace_id, &file, source).await?;
    Ok(Entry::File(file, content))
}

async fn content(workspace_id: String, file: &pb::File, source: bool) -> Result<Content, ApiError> {
    if file.kind() == pb::FileKind::Special {
        return Ok(Content::None);
    }
    match preview(workspace_id, file.path.clone(), source, String::new()).await {
        Ok(preview) => Ok(Content::of(preview)),
        // A link may lead nowhere, or out.
        Err(_) if file.kind() != pb::FileKind::File => Ok(Content::None),
        Err(error) => Err(error),
    }
}

/// What can be shown of a file, from a page token on.
pub async fn preview(
    workspace_id: String,
    path: String,
    source: bool,
    page_token: String,
) -> Result<pb::Preview, ApiError> {
    let request = pb::GetPreviewRequest {
        workspace_id,
        path,
        source,
        page_token,
    };
    let answer = api::files().get_preview(request).await?.into_inner();
    answer.preview.ok_or_else(ApiError::incomplete)
}

/// One page of a directory.
pub async fn page(
    workspace_id: String,
    path: String,
    page_token: String,
) -> Result<pb::ListFilesResponse, ApiError> {
    let page_size = if page_token.is_empty() {
        FIRST_PAGE
    } else {
        NEXT_PAGES
    };
    let request = pb::ListFilesRequest {
        workspace_id,
        path,
        page_size,
        page_token,
    };
    Ok(api::files().list_files(request).await?.into_inner())
}

/// A directory with at least so many entries, if it has them.
pub async fn directory(workspace_id: String, path: String, wanted: usize) -> Directory {
    let mut directory = Directory::default();
    loop {
        let token = std::mem::take(&mut directory.next);
        match page(workspace_id.clone(), path.clone(), token).await {
            Ok(page) => {
                directory.next = page.next_page_token;
                directory.files.extend(page.files.into_iter().map(Arc::new));
            }
            Err(problem) => directory.problem = Some(problem),
        }
        if directory.next.is_empty() || directory.files.len() >= wanted {
            return directory;
        }
    }
}

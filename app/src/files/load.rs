//! Reads entries of a workspace from the server.

use std::sync::Arc;

use membrane_proto::v1 as pb;
use serde::{Deserialize, Serialize};

use super::tree::{Directories, Directory};
use crate::{
    api::{self, ApiError, Wire},
    format, path,
};

/// Entries of the first page of a directory.
const FIRST_PAGE: i32 = 500;
/// Entries of each page after it, which is as many as the server gives.
const NEXT_PAGES: i32 = 2_000;
/// Largest text that is shown, in bytes.
const MAX_TEXT: i64 = 1 << 20;
/// What browsers show as an image.
const IMAGES: [&str; 8] = ["avif", "bmp", "gif", "ico", "jpeg", "jpg", "png", "webp"];

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

/// How a file is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Content {
    /// As text.
    Text {
        /// Its lines as HTML. They don't travel inside the page, which has them already.
        #[serde(skip)]
        html: String,
        /// Number of its lines.
        lines: u32,
    },
    /// As an image.
    Image,
    /// Not at all.
    None,
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

/// Reads an entry, and of the directories above it those that are not known.
pub async fn load(workspace_id: String, path: String, known: impl Fn(&str) -> bool) -> Loaded {
    let mut pages = Vec::new();
    for above in path::ancestors(&path) {
        if !known(above)
            && let Ok(page) = page(workspace_id.clone(), above.to_owned(), String::new()).await
        {
            pages.push((above.to_owned(), Wire(page)));
        }
    }
    let shown = match entry(workspace_id, path.clone()).await {
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

async fn entry(workspace_id: String, path: String) -> Result<Entry, ApiError> {
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
    let content = content(workspace_id, &file).await?;
    Ok(Entry::File(file, content))
}

async fn content(workspace_id: String, file: &pb::File) -> Result<Content, ApiError> {
    let is_regular = file.kind() == pb::FileKind::File;
    let extension = file.path.rsplit_once('.').map_or("", |(_, last)| last);
    if is_regular && IMAGES.contains(&extension.to_ascii_lowercase().as_str()) {
        return Ok(Content::Image);
    }
    if file.kind() == pb::FileKind::Special || file.size > MAX_TEXT {
        return Ok(Content::None);
    }
    let bytes = match read(workspace_id, file.path.clone()).await {
        Ok(bytes) => bytes,
        // A link may lead nowhere, or out.
        Err(_) if !is_regular => return Ok(Content::None),
        Err(error) => return Err(error),
    };
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.filter(|text| !text.contains('\0'));
    Ok(text.map_or(Content::None, |text| lines(&text)))
}

/// A file's bytes, unless there are too many.
async fn read(workspace_id: String, path: String) -> Result<Option<Vec<u8>>, ApiError> {
    let request = pb::ReadFileRequest {
        workspace_id,
        path,
        length: MAX_TEXT + 1,
        ..Default::default()
    };
    let mut parts = api::files().read_file(request).await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await? {
        if let Some(pb::read_file_response::Part::Data(data)) = part.part {
            bytes.extend_from_slice(&data);
        }
    }
    Ok((bytes.len() as i64 <= MAX_TEXT).then_some(bytes))
}

/// Text as numbered lines of HTML, each with an address. Not as views, of which there would be very
/// many.
fn lines(text: &str) -> Content {
    let mut html = String::with_capacity(text.len() * 2);
    let mut count = 0;
    for line in text.lines() {
        count += 1;
        html.push_str(&format!(
            "<div class=\"line\" id=\"L{count}\"><a href=\"#L{count}\">{count}</a><code>"
        ));
        format::escape(line, &mut html);
        html.push_str("</code></div>");
    }
    Content::Text { html, lines: count }
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

#[cfg(test)]
mod tests {
    use super::{Content, lines};

    #[test]
    fn text_becomes_lines_that_can_not_break_out() {
        let Content::Text { html, lines } = lines("a <b>\r\n\n</code>\"\n") else {
            panic!("it is text");
        };
        assert_eq!(lines, 3);
        assert!(html.starts_with(
            "<div class=\"line\" id=\"L1\"><a href=\"#L1\">1</a><code>a &lt;b&gt;</code></div>"
        ));
        assert!(html.contains("id=\"L3\"><a href=\"#L3\">3</a><code>&lt;/code&gt;&quot;</code>"));
    }
}

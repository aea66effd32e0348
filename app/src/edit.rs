//! Reads files to be edited, and writes them back.

use membrane_proto::v1 as pb;
use serde::{Deserialize, Serialize};

use crate::api::{self, ApiError};

/// Largest file that is edited, in bytes.
const MAX_BYTES: i64 = 1 << 20;

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// What it holds, byte for byte.
    pub text: String,
    /// What it must still have when it is written.
    pub etag: String,
}

/// Why a file is not edited here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It is larger than what is edited.
    TooLarge,
    /// It is not UTF-8, or has bytes that no text has.
    NotText,
    /// It is a link.
    Link,
    /// It is a directory, or something that holds no bytes.
    NotAFile,
}

impl Refusal {
    /// The reason, as a sentence for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::TooLarge => {
                "It is larger than 1 MiB. Download it, and upload what you make of it."
            }
            Self::NotText => "It is not UTF-8 text, and saving it as text would damage it.",
            Self::Link => "It is a link. What it leads to can be edited where it is.",
            Self::NotAFile => "It is not a file.",
        }
    }
}

/// What came of reading a file to edit it.
pub type Opened = Result<Text, Refusal>;

/// Reads a file.
pub async fn open(workspace_id: String, path: String) -> Result<Opened, ApiError> {
    let request = pb::GetFileRequest {
        workspace_id: workspace_id.clone(),
        path: path.clone(),
    };
    let answer = api::files().get_file(request).await?.into_inner();
    let file = answer.file.ok_or_else(ApiError::incomplete)?;
    match file.kind() {
        pb::FileKind::File if file.size > MAX_BYTES => Ok(Err(Refusal::TooLarge)),
        pb::FileKind::File => read(workspace_id, path).await,
        pb::FileKind::Symlink => Ok(Err(Refusal::Link)),
        _ => Ok(Err(Refusal::NotAFile)),
    }
}

async fn read(workspace_id: String, path: String) -> Result<Opened, ApiError> {
    let request = pb::ReadFileRequest {
        workspace_id,
        path,
        // One more than is edited: it may have grown since it was looked at.
        length: MAX_BYTES + 1,
        ..Default::default()
    };
    let mut parts = api::files().read_file(request).await?.into_inner();
    let (mut etag, mut bytes) = (String::new(), Vec::new());
    while let Some(message) = parts.message().await? {
        match message.part {
            Some(pb::read_file_response::Part::File(file)) => etag = file.etag,
            Some(pb::read_file_response::Part::Data(data)) => bytes.extend_from_slice(&data),
            None => {}
        }
    }
    Ok(text(bytes, etag))
}

fn text(bytes: Vec<u8>, etag: String) -> Opened {
    if bytes.len() as i64 > MAX_BYTES {
        return Err(Refusal::TooLarge);
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(Text { text, etag }),
        _ => Err(Refusal::NotText),
    }
}

/// Writes a file that still has this etag, or, without one, that is not there. Returns its new etag.
pub async fn write(
    workspace_id: String,
    path: String,
    text: String,
    etag: Option<String>,
) -> Result<String, ApiError> {
    let request = pb::WriteFileRequest {
        workspace_id,
        path,
        content: text.into(),
        create_only: etag.is_none(),
        etag: etag.unwrap_or_default(),
    };
    let answer = api::files().write_file(request).await?.into_inner();
    let file = answer.file.ok_or_else(ApiError::incomplete)?;
    Ok(file.etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_as_it_is() {
        let read = text(b"\xef\xbb\xbfa\r\nb\n".to_vec(), "e".to_owned());
        assert_eq!(
            read.map(|read| read.text),
            Ok("\u{feff}a\r\nb\n".to_owned())
        );
    }

    #[test]
    fn what_is_no_text_or_too_large_is_refused() {
        assert_eq!(text(vec![b'a', 0xff], String::new()), Err(Refusal::NotText));
        assert_eq!(text(vec![b'a', 0], String::new()), Err(Refusal::NotText));
        let largest = vec![b'a'; MAX_BYTES as usize];
        assert!(text(largest.clone(), String::new()).is_ok());
        let larger = [largest, vec![b'a']].concat();
        assert_eq!(text(larger, String::new()), Err(Refusal::TooLarge));
    }
}

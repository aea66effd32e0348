//! Files of the workspace that go with a message.

use membrane_agent::images;
use membrane_files::{TreePath, root::Root};
use membrane_proto::v1::{Attachment, Image};

use crate::{
    error::Error,
    files::{Files, parse_path},
    id::WorkspaceId,
    uploads::blocking,
};

/// Files of one message.
const MAX_FILES: usize = 10;
/// Images of one message together, in bytes: they are stored with it.
const MAX_IMAGES: usize = 10_000_000;
/// How much of a file says what it is, in bytes.
const PROBE: usize = 4_096;

const FIELD: &str = "attachment_paths";

/// Reads what these paths name.
///
/// # Errors
/// [`Error::Invalid`] for too many, for a path that is no file, and for images that are too large.
pub async fn read(
    files: &Files,
    workspace: WorkspaceId,
    paths: &[String],
) -> Result<Vec<Attachment>, Error> {
    if paths.len() > MAX_FILES {
        return Err(Error::invalid(
            FIELD,
            format!("must be at most {MAX_FILES}"),
        ));
    }
    let paths: Vec<TreePath> = paths
        .iter()
        .map(|path| parse_path(FIELD, path))
        .collect::<Result<_, _>>()?;
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let files = files.clone();
    blocking(move || {
        let root = files.root(workspace)?;
        let attachments: Vec<Attachment> = paths
            .iter()
            .map(|path| attachment(&root, path))
            .collect::<Result<_, _>>()?;
        let images = attachments.iter().filter_map(|one| one.image.as_ref());
        let bytes: usize = images.map(|image| image.data.len()).sum();
        if bytes > MAX_IMAGES {
            let limit = MAX_IMAGES / 1_000_000;
            return Err(Error::invalid(
                FIELD,
                format!("images must have at most {limit} MB together"),
            ));
        }
        Ok(attachments)
    })
    .await
}

fn attachment(root: &Root, path: &TreePath) -> Result<Attachment, Error> {
    let no_file = |_| Error::invalid(FIELD, format!("{path} is not a file of the workspace"));
    let reader = root.read(path).map_err(no_file)?;
    let size = reader.entry.size;
    let beginning = reader.read_at(0, PROBE)?;
    let image = match images::media_type(&beginning) {
        None => None,
        Some(_) if size > images::MAX_BYTES as u64 => {
            return Err(Error::invalid(
                FIELD,
                format!("{path} is an image over 3.75 MB; make it smaller"),
            ));
        }
        Some(media_type) => Some(Image {
            media_type: media_type.to_owned(),
            data: reader.read_at(0, images::MAX_BYTES)?.into(),
        }),
    };
    Ok(Attachment {
        path: path.to_string(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        image,
    })
}

//! The tools Write and Edit.

use std::path::Path;

use cap_fs_ext::FollowSymlinks;
use cap_std::fs::{Dir, Metadata};
use membrane_files::search::open;
use membrane_proto::v1::FileChangeDetail;
use membrane_proto::v1::tool_result::Detail;
use serde::Deserialize;

use super::change::{self, CONTENT_BYTES_MAX};
use super::failure::{Answer, Failure};
use super::paths::Place;
use super::{Shared, ToolOutput};

/// Input of Write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Write {
    file_path: String,
    content: String,
}

/// Input of Edit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    file_path: String,
    old_string: String,
    new_string: String,
    #[serde(default)]
    replace_all: bool,
}

/// A file that is about to change: its directory's handle, so that a link put in place of the
/// directory changes nothing, and what is there now.
struct Target {
    place: Place,
    directory: Dir,
    name: std::path::PathBuf,
    old: Option<(Vec<u8>, Metadata)>,
}

/// Writes a whole file.
pub(super) fn write(shared: &Shared, input: Write) -> Answer {
    if input.content.len() as u64 > CONTENT_BYTES_MAX {
        return Err(Failure::new("The content is larger than 16 MiB."));
    }
    let place = real(shared, &Place::parse(&input.file_path)?)?;
    let target = Target::open(shared, place, true)?;
    let detail = target.replace(shared, input.content.as_bytes())?;
    let verb = if detail.created { "Created" } else { "Wrote" };
    let text = format!("{verb} {} ({}).", detail.path, line_counts(&detail));
    Ok(answer(text, detail))
}

/// Replaces text in a file.
pub(super) fn edit(shared: &Shared, input: Edit) -> Answer {
    let place = real(shared, &Place::parse(&input.file_path)?)?;
    let target = Target::open(shared, place, false)?;
    let shown = target.place.shown();
    let Some((old, _)) = &target.old else {
        return Err(Failure::new(format!(
            "{shown} does not exist. Create it with Write."
        )));
    };
    let old = std::str::from_utf8(old)
        .map_err(|_| Failure::new(format!("{shown} is not UTF-8 text; change it with Bash.")))?;
    let (new, count) = replaced(old, &input, &shown)?;
    let detail = target.replace(shared, new.as_bytes())?;
    let places = if count == 1 { "place" } else { "places" };
    let text = format!(
        "Edited {shown} in {count} {places} ({}).",
        line_counts(&detail)
    );
    Ok(answer(text, detail))
}

impl Target {
    fn open(shared: &Shared, place: Place, create: bool) -> Result<Self, Failure> {
        let shown = place.shown();
        let (parent, name) = place.split()?;
        let tree = shared.roots.tree(place.root);
        let failure = |error: &std::io::Error| Failure::io(&shown, error);
        if create {
            tree.create_dir_all(&parent)
                .map_err(|error| failure(&error))?;
        }
        let directory = tree.open_dir(&parent).map_err(|error| failure(&error))?;
        let old = existing(&directory, &name, &shown)?;
        if let Some((_, metadata)) = &old {
            shared.seen.check(&place, metadata.into())?;
        }
        Ok(Self {
            place,
            directory,
            name,
            old,
        })
    }

    fn replace(&self, shared: &Shared, content: &[u8]) -> Result<FileChangeDetail, Failure> {
        let shown = self.place.shown();
        let (old, metadata) = self
            .old
            .as_ref()
            .map(|(old, metadata)| (old, metadata))
            .unzip();
        let written = change::replace(&self.directory, &self.name, content, metadata)
            .map_err(|error| Failure::io(&shown, &error))?;
        let real = shared.roots.real(&self.place);
        let real = real.unwrap_or_else(|_| self.place.clone());
        shared.seen.remember(real, (&written).into());
        Ok(change::detail(shown, old.map(Vec::as_slice), content))
    }
}

/// The place behind links inside the tree; itself if nothing is there yet.
fn real(shared: &Shared, place: &Place) -> Result<Place, Failure> {
    match shared.roots.real(place) {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            refuse_dangling(shared, place)?;
            Ok(place.clone())
        }
        Err(error) => Err(Failure::io(&place.shown(), &error)),
    }
}

/// Writing "through" a link to nothing would replace the link, which nobody means.
fn refuse_dangling(shared: &Shared, place: &Place) -> Result<(), Failure> {
    let metadata = shared
        .roots
        .tree(place.root)
        .symlink_metadata(&place.relative);
    if metadata.is_ok_and(|metadata| metadata.is_symlink()) {
        return Err(Failure::new(format!(
            "{} is a symbolic link to nothing in its tree.",
            place.shown()
        )));
    }
    Ok(())
}

/// What is there now; none if nothing is.
fn existing(
    directory: &Dir,
    name: &Path,
    shown: &str,
) -> Result<Option<(Vec<u8>, Metadata)>, Failure> {
    let (mut file, metadata) = match open(directory, name, FollowSymlinks::No) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| Failure::io(shown, &error))?,
    };
    if !metadata.is_file() {
        return Err(Failure::new(format!("{shown} is not a regular file.")));
    }
    let content = change::content(&mut file).map_err(|error| Failure::io(shown, &error))?;
    let content = content.ok_or_else(|| Failure::new(format!("{shown} is larger than 16 MiB.")))?;
    Ok(Some((content, metadata)))
}

/// The new content, and in how many places it differs. In a file whose lines all end in CRLF the
/// model need not write CRLF: it does not see them.
fn replaced(old: &str, input: &Edit, shown: &str) -> Result<(String, usize), Failure> {
    if !has_crlf_only(old) {
        return replaced_exactly(
            old,
            &input.old_string,
            &input.new_string,
            input.replace_all,
            shown,
        );
    }
    let plain = |text: &str| text.replace("\r\n", "\n");
    let (new, count) = replaced_exactly(
        &plain(old),
        &plain(&input.old_string),
        &plain(&input.new_string),
        input.replace_all,
        shown,
    )?;
    Ok((new.replace('\n', "\r\n"), count))
}

fn has_crlf_only(text: &str) -> bool {
    let ends = text.matches('\n').count();
    ends > 0 && ends == text.matches("\r\n").count()
}

fn replaced_exactly(
    old: &str,
    from: &str,
    to: &str,
    all: bool,
    shown: &str,
) -> Result<(String, usize), Failure> {
    if from.is_empty() {
        return Err(Failure::new(
            "old_string is empty. Write a whole file with Write.",
        ));
    }
    if from == to {
        return Err(Failure::new("old_string and new_string are the same."));
    }
    let count = old.matches(from).count();
    match count {
        0 => Err(Failure::new(format!(
            "old_string does not occur in {shown}. It has to match exactly, white space included."
        ))),
        2.. if !all => Err(Failure::new(format!(
            "old_string occurs {count} times in {shown}. Give more of the text around it, or set \
            replace_all."
        ))),
        _ => bounded(old, from, to, count),
    }
}

fn bounded(old: &str, from: &str, to: &str, count: usize) -> Result<(String, usize), Failure> {
    let size = old.len() - count * from.len() + count.saturating_mul(to.len());
    if size as u64 > CONTENT_BYTES_MAX {
        return Err(Failure::new("The file would become larger than 16 MiB."));
    }
    Ok((old.replace(from, to), count))
}

fn line_counts(detail: &FileChangeDetail) -> String {
    format!(
        "{} lines added, {} removed",
        detail.lines_added, detail.lines_removed
    )
}

fn answer(text: String, detail: FileChangeDetail) -> ToolOutput {
    ToolOutput {
        detail: Some(Detail::FileChange(detail)),
        ..ToolOutput::text(text)
    }
}

//! Changing a file: the new content replaces the old in one step, and the difference is told.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, File, Metadata, MetadataExt, OpenOptions, Permissions, PermissionsExt};
use membrane_proto::v1::FileChangeDetail;
use similar::{ChangeTag, TextDiff};

/// Files over this size are neither written nor edited.
pub(super) const CONTENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Old and new content over this size together are not compared.
const COMPARED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A diff over this size is too large to show.
const DIFF_BYTES_MAX: usize = 128 * 1024;
const NEW_FILE_MODE: u32 = 0o644;
/// Names tried for the temporary file before giving up.
const TEMPORARY_NAMES: u64 = 1000;

/// Numbers temporary files, so that two writes at once do not meet.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// Replaces `name` in `directory` with `content`, or creates it. Readers see the old file or the
/// new one. The permission bits stay, without set-user-id and the like.
pub(super) fn replace(
    directory: &Dir,
    name: &Path,
    content: &[u8],
    old: Option<&Metadata>,
) -> io::Result<Metadata> {
    let (temporary, mut file) = temporary_file(directory)?;
    let mode = old.map_or(NEW_FILE_MODE, |old| old.mode() & 0o777);
    let written = fill(&mut file, content, mode).and_then(|metadata| {
        directory
            .rename(&temporary, directory, name)
            .map(|()| metadata)
    });
    if written.is_err() {
        let _ = directory.remove_file(&temporary);
    }
    written
}

fn fill(file: &mut File, content: &[u8], mode: u32) -> io::Result<Metadata> {
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_data()?;
    file.metadata()
}

/// A new file, private until it is complete. Names of an interrupted write are passed over.
fn temporary_file(directory: &Dir) -> io::Result<(PathBuf, File)> {
    use cap_std::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .follow(FollowSymlinks::No);
    for _ in 0..TEMPORARY_NAMES {
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let name = PathBuf::from(format!(".membrane-write-{number}.tmp"));
        match directory.open_with(&name, &options) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (name, file)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Reads a whole file; none if it is over [`CONTENT_BYTES_MAX`].
pub(super) fn content(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    file.take(CONTENT_BYTES_MAX + 1).read_to_end(&mut content)?;
    let fits = content.len() as u64 <= CONTENT_BYTES_MAX;
    Ok(fits.then_some(content))
}

/// The difference, made for showing it. `old` is none for a new file.
pub(super) fn detail(path: String, old: Option<&[u8]>, new: &[u8]) -> FileChangeDetail {
    let created = old.is_none();
    let old = String::from_utf8_lossy(old.unwrap_or_default());
    let new = String::from_utf8_lossy(new);
    let (unified_diff, added, removed) = difference(&old, &new);
    FileChangeDetail {
        path,
        created,
        unified_diff,
        lines_added: count(added),
        lines_removed: count(removed),
    }
}

fn difference(old: &str, new: &str) -> (String, usize, usize) {
    if old.len() + new.len() > COMPARED_BYTES_MAX {
        return (String::new(), new.lines().count(), old.lines().count());
    }
    let diff = TextDiff::from_lines(old, new);
    let tagged = |tag| {
        diff.iter_all_changes()
            .filter(|change| change.tag() == tag)
            .count()
    };
    let mut text = diff.unified_diff().context_radius(3).to_string();
    if text.len() > DIFF_BYTES_MAX {
        text.clear();
    }
    (text, tagged(ChangeTag::Insert), tagged(ChangeTag::Delete))
}

fn count(lines: usize) -> i32 {
    i32::try_from(lines).unwrap_or(i32::MAX)
}

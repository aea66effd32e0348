//! A workspace's tree and its store, opened for one piece of work.

use std::{
    ffi::OsStr,
    io::{self, Read as _},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::Path,
};

use cap_std::{
    ambient_authority,
    fs::{Dir, MetadataExt as _},
};
use membrane_files::{
    TreePath,
    search::open_file,
    store::{Digest, Manifest, Node, ScanError, ScanOptions, Store, scan},
};

use super::{Changes, delta::Delta, diff};
use crate::{clock::Millis, error::Error, id::WorkspaceId, time::system_time};

/// Where a workspace's store is, beside its files: no sandbox sees it.
const STORE: &str = "store";

/// A workspace's tree and its store.
pub(crate) struct Tree {
    /// What was.
    pub store: Store,
    /// What is.
    pub files: Dir,
}

impl Changes {
    /// Opens a workspace's tree and store.
    pub(crate) fn tree(&self, workspace: WorkspaceId) -> Result<Tree, Error> {
        let place = self.places.place(workspace);
        let files = Dir::open_ambient_dir(&place.files, ambient_authority())?;
        let store = place.files.with_file_name(STORE);
        std::fs::create_dir_all(&store)?;
        let store = Dir::open_ambient_dir(store, ambient_authority())?;
        let store = Store::open(store).map_err(broken)?;
        Ok(Tree { store, files })
    }
}

impl Tree {
    /// Records the tree as it is.
    pub(crate) fn record(&self, now: Millis) -> Result<(Digest, Manifest), Error> {
        let now = system_time(now);
        let mut index = self.store.read_index().map_err(broken)?;
        let options = ScanOptions::default();
        let scan = scan(&self.files, &self.store, &mut index, now, &options).map_err(refused)?;
        let digest = self.store.save_manifest(&scan.manifest).map_err(broken)?;
        self.store.write_index(&index).map_err(broken)?;
        Ok((digest, scan.manifest))
    }

    /// A recorded manifest.
    pub(crate) fn manifest(&self, digest: &Digest) -> Result<Manifest, Error> {
        self.store.load_manifest(digest).map_err(broken)
    }

    /// A recorded difference by the stored names of its parts.
    pub(super) fn delta(&self, before: &str, after: &str) -> Result<Delta, Error> {
        Ok(Delta {
            before: self.manifest(&named(before)?)?,
            after: self.manifest(&named(after)?)?,
        })
    }

    /// The contents of a node that can be compared line by line; of nothing, none. `None` for what
    /// has no lines.
    pub(super) fn text(&self, node: Option<&Node>) -> Result<Option<Vec<u8>>, Error> {
        let contents = match node {
            None => Vec::new(),
            Some(Node::File { digest, size, .. }) if *size <= diff::MAX_TEXT => {
                self.store.read(digest, diff::MAX_TEXT).map_err(broken)?
            }
            Some(_) => return Ok(None),
        };
        Ok(Some(contents).filter(|contents| diff::is_text(contents)))
    }

    /// The text of the regular file at a path now; `None` for what has no lines.
    pub(super) fn text_now(&self, path: &TreePath) -> Option<Vec<u8>> {
        let file = open_file(&self.files, as_path(path)).ok()?;
        let mut contents = Vec::new();
        file.take(diff::MAX_TEXT + 1)
            .read_to_end(&mut contents)
            .ok()?;
        Some(contents).filter(|contents| diff::is_text(contents))
    }

    /// Whether exactly this stands at a path now.
    pub(super) fn stands(&self, path: &TreePath, node: Option<&Node>) -> bool {
        if let (Some(Node::File { size, .. }), Ok(metadata)) =
            (node, self.files.symlink_metadata(as_path(path)))
            && metadata.len() != *size
        {
            return false;
        }
        self.node(path).is_ok_and(|now| now.as_ref() == node)
    }

    /// What stands at a path now; nothing for what is not recorded, such as a named pipe.
    pub(super) fn node(&self, path: &TreePath) -> io::Result<Option<Node>> {
        let metadata = match self.files.symlink_metadata(as_path(path)) {
            Err(error) if is_absent(&error) => return Ok(None),
            found => found?,
        };
        let kind = metadata.file_type();
        if kind.is_dir() {
            return Ok(Some(Node::Directory));
        }
        if kind.is_symlink() {
            let target = self.files.read_link_contents(as_path(path))?;
            let target = target.into_os_string().into_vec();
            return Ok(Some(Node::Symlink { target }));
        }
        if !kind.is_file() {
            return Ok(None);
        }
        Ok(Some(Node::File {
            digest: Digest::of_reader(open_file(&self.files, as_path(path))?)?,
            size: metadata.len(),
            executable: metadata.mode() & 0o100 != 0,
        }))
    }
}

fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// A digest as rows name it.
pub(crate) fn named(name: &str) -> Result<Digest, Error> {
    name.parse().map_err(broken)
}

/// A path below the top, for a call that takes one.
pub(super) fn as_path(path: &TreePath) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
}

/// A scan's refusal as the server's error.
pub(crate) fn refused(error: ScanError) -> Error {
    match error {
        ScanError::TooManyEntries { limit } => Error::Exhausted {
            reason: "TOO_MANY_FILES",
            message: format!("changes are recorded in trees of at most {limit} entries"),
        },
        other => broken(other),
    }
}

/// What should not happen, with its causes.
pub(crate) fn broken(error: impl std::error::Error + 'static) -> Error {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    Error::Internal(message)
}

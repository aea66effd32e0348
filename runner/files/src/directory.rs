//! Importing a directory of the same machine.

use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::staging::Staging;
use crate::summary::Summary;
use crate::walk::{Bounded, Visitor, walk};
use cap_std::fs::Dir;
use std::io::Write;

/// Copies a directory's tree into an empty directory: the whole tree, or nothing of it.
///
/// The rules are those of [`crate::import_zip`], with two differences that a local directory calls
/// for: links that leave the tree and names that an archive could not carry are dropped and listed
/// instead of refusing everything. No link is ever followed.
///
/// # Errors
/// When the tree breaks a limit, has twins or changes while it is read, or reading or writing
/// fails; the destination is then as it was before.
pub fn import_directory(
    source: &Dir,
    destination: &Dir,
    limits: &Limits,
) -> Result<Summary, ArchiveError> {
    let staging = Staging::begin(destination)?;
    let mut copy = Copy {
        staging: &staging,
        links: Vec::new(),
    };
    let summary = walk(source, Some(destination), limits, &mut copy)?;
    for (path, target) in &copy.links {
        staging.symlink(path, target)?;
    }
    staging.commit()?;
    Ok(summary)
}

struct Copy<'a> {
    staging: &'a Staging<'a>,
    links: Vec<(String, String)>,
}

impl Visitor for Copy<'_> {
    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.staging.directory(path)
    }

    fn file(
        &mut self,
        path: &str,
        executable: bool,
        contents: &mut Bounded,
    ) -> Result<(), ArchiveError> {
        let mut file = self.staging.file(path, executable)?;
        contents.for_each(|bytes| {
            file.write_all(bytes)
                .map_err(ArchiveError::io("writing a file"))
        })
    }

    fn symlink(&mut self, path: &str, target: &str) -> Result<(), ArchiveError> {
        self.links.push((path.to_owned(), target.to_owned()));
        Ok(())
    }
}

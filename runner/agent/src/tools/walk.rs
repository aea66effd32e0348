//! Walks the trees that file tools reach.

use std::io;
use std::ops::ControlFlow;

use membrane_files::search::{Next, Skip};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::paths::{Place, Roots};

pub(super) use membrane_files::search::Found;

/// A walk.
pub(super) struct Walk<'walk> {
    /// Where it begins: a directory behind all links.
    pub(super) start: &'walk Place,
    /// Whether ignore files are honoured.
    pub(super) ignoring: bool,
    /// Ends it early.
    pub(super) cancel: &'walk CancellationToken,
}

impl Walk<'_> {
    /// Visits the regular files, directory by directory in the order of their names, without those
    /// of version control. Returns whether all were met: not more than a million entries, 128
    /// levels.
    pub(super) fn run(
        &self,
        roots: &Roots,
        mut visit: impl FnMut(&Found<'_>) -> ControlFlow<()>,
    ) -> Result<bool, Failure> {
        let walk = membrane_files::search::Walk {
            tree: roots.tree(self.start.root),
            start: &self.start.relative,
            skip: Skip {
                ignored: self.ignoring,
                version_control: true,
                caches: false,
            },
            cancelled: &|| self.cancel.is_cancelled(),
        };
        let visited = walk.run(|found| {
            if found.kind.is_file() && visit(found).is_break() {
                return Next::Stop;
            }
            Next::On
        });
        visited.map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => Failure::interrupted(),
            _ => Failure::io(&self.start.shown(), &error),
        })
    }
}

//! Why the store could not do something.

use crate::store::digest::Digest;
use crate::store::manifest::ManifestError;
use std::io;

/// Why contents could not be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store does not have these contents.
    #[error("the store has no {digest}")]
    Missing {
        /// What was asked for.
        digest: Digest,
    },
    /// What the store has under this digest is something else.
    #[error("the store's {digest} is damaged")]
    Damaged {
        /// What was asked for.
        digest: Digest,
    },
    /// The contents are larger than the caller takes.
    #[error("{digest} has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// What was asked for.
        digest: Digest,
        /// Its size in bytes.
        bytes: u64,
        /// The most that the caller takes, in bytes.
        limit: u64,
    },
    /// The contents are undamaged, but no manifest.
    #[error("{digest} is not a manifest")]
    NotAManifest {
        /// What was asked for.
        digest: Digest,
        /// What is wrong with it.
        #[source]
        source: ManifestError,
    },
    /// What was to be stored could not be read.
    #[error("reading what is to be stored failed")]
    Source(#[source] io::Error),
    /// The store's own directory failed.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// Wraps an I/O error with what was being done; for `map_err`.
    pub(super) fn io<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Io {
            doing,
            source: error.into(),
        }
    }
}

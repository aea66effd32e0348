//! Names of objects within those of a workspace.

use membrane_files::store::Digest;

/// What a digest is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// Contents, or a chunk of larger ones.
    Contents(Digest),
    /// The chunks of the contents with this digest.
    List(Digest),
    /// The manifest with this digest is there, with everything that it names.
    Manifest(Digest),
}

const CONTENTS: &str = "contents";
pub(super) const LISTS: &str = "lists";
pub(super) const MANIFESTS: &str = "manifests";
/// Between the hash's name and its digits: what a digest has there means something in addresses.
const SEPARATOR: char = '-';

impl Name {
    /// The directory and the name in it.
    pub fn parts(self) -> (&'static str, String) {
        let (directory, digest) = match self {
            Self::Contents(digest) => (CONTENTS, digest),
            Self::List(digest) => (LISTS, digest),
            Self::Manifest(digest) => (MANIFESTS, digest),
        };
        (directory, digest.to_string().replacen(':', "-", 1))
    }

    /// Reads what [`Name::parts`] says; nothing for what is no name.
    pub fn parse(directory: &str, name: &str) -> Option<Self> {
        let (hash, digits) = name.split_once(SEPARATOR)?;
        let digest = format!("{hash}:{digits}").parse().ok()?;
        match directory {
            CONTENTS => Some(Self::Contents(digest)),
            LISTS => Some(Self::List(digest)),
            MANIFESTS => Some(Self::Manifest(digest)),
            _ => None,
        }
    }
}

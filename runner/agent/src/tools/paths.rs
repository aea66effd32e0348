//! The two trees that file tools reach, as directory handles: a path is resolved beneath its
//! handle by the kernel, never checked first and opened afterwards.

use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use cap_fs_ext::FollowSymlinks;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata};
use membrane_files::search::open;

use super::failure::Failure;
use super::{ToolboxError, WorkspacePlace};
use crate::sandbox::{HOME, WORKSPACE};

/// Which tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Root {
    Files,
    Home,
}

/// A path as the agent means it: a tree, and a plain path in it (`.` for the tree itself).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) root: Root,
    pub(super) relative: PathBuf,
}

/// Handles of the two trees.
#[derive(Debug)]
pub(super) struct Roots {
    files: Dir,
    home: Dir,
}

impl Root {
    fn shown(self) -> &'static str {
        match self {
            Self::Files => WORKSPACE,
            Self::Home => HOME,
        }
    }
}

impl Place {
    /// Reads a path: absolute, or relative to the workspace's files. `.` and `..` are taken as
    /// written, before any link is looked at.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        if text.is_empty() || text.contains('\0') {
            return Err(Failure::new("The path is empty or has a NUL character."));
        }
        let absolute = plain(&Path::new(WORKSPACE).join(text));
        for root in [Root::Files, Root::Home] {
            if let Ok(relative) = absolute.strip_prefix(root.shown()) {
                return Ok(Self::new(root, relative));
            }
        }
        Err(Failure::new(format!(
            "{} is outside of {WORKSPACE} and {HOME}.",
            shown(&absolute)
        )))
    }

    /// A place in a tree.
    pub(super) fn new(root: Root, relative: &Path) -> Self {
        let itself = relative.as_os_str().is_empty();
        Self {
            root,
            relative: if itself {
                ".".into()
            } else {
                relative.to_owned()
            },
        }
    }

    /// A place below this one.
    pub(super) fn join(&self, below: &Path) -> Self {
        Self::new(self.root, &plain(&self.relative.join(below)))
    }

    /// The path as the agent names it.
    pub(super) fn absolute(&self) -> PathBuf {
        plain(&Path::new(self.root.shown()).join(&self.relative))
    }

    /// The same for people and models, hostile characters escaped.
    pub(super) fn shown(&self) -> String {
        shown(&self.absolute())
    }

    /// The directory and the name in it; an error for the tree itself.
    pub(super) fn split(&self) -> Result<(PathBuf, PathBuf), Failure> {
        let Some(name) = self.relative.file_name() else {
            return Err(Failure::new(format!("{} is a directory.", self.shown())));
        };
        let parent = self
            .relative
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Ok((parent.unwrap_or(Path::new(".")).to_owned(), name.into()))
    }
}

impl Roots {
    /// Opens both trees.
    pub(super) fn open(place: &WorkspacePlace) -> Result<Self, ToolboxError> {
        let open = |which, path: &Path| {
            if !path.is_absolute() {
                let source = io::Error::new(io::ErrorKind::InvalidInput, "not an absolute path");
                return Err(ToolboxError::Open { which, source });
            }
            Dir::open_ambient_dir(path, ambient_authority())
                .map_err(|source| ToolboxError::Open { which, source })
        };
        Ok(Self {
            files: open("files", &place.files)?,
            home: open("home", &place.home)?,
        })
    }

    /// The handle of a tree.
    pub(super) fn tree(&self, root: Root) -> &Dir {
        match root {
            Root::Files => &self.files,
            Root::Home => &self.home,
        }
    }

    /// The place behind all links on the way, which have to stay in the tree. Only a name: it is
    /// opened beneath the handle all the same.
    pub(super) fn real(&self, place: &Place) -> io::Result<Place> {
        let relative = self.tree(place.root).canonicalize(&place.relative)?;
        Ok(Place::new(place.root, &relative))
    }

    /// Opens a file for reading.
    pub(super) fn file(&self, place: &Place) -> Result<(File, Metadata), Failure> {
        let shown = place.shown();
        let opened = open(self.tree(place.root), &place.relative, FollowSymlinks::Yes);
        let (file, metadata) = opened.map_err(|error| Failure::io(&shown, &error))?;
        if metadata.is_dir() {
            return Err(Failure::new(format!(
                "{shown} is a directory. List it with Glob, or with ls in Bash."
            )));
        }
        if !metadata.is_file() {
            return Err(Failure::new(format!("{shown} is not a regular file.")));
        }
        Ok((file, metadata))
    }
}

/// A path without `.` and `..`; what would climb above the beginning stays there.
fn plain(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

/// A path for people and models. One with control or direction characters or bytes that are not
/// UTF-8 is written as bash's `$'…'`, so that it can be used, too.
pub(super) fn shown(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(is_hostile) => text.to_owned(),
        _ => quoted(bytes),
    }
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("$'");
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' | '\'' => text.extend(['\\', character]),
                hostile if is_hostile(hostile) => {
                    let mut buffer = [0; 4];
                    push_bytes(&mut text, hostile.encode_utf8(&mut buffer).as_bytes());
                }
                harmless => text.push(harmless),
            }
        }
        push_bytes(&mut text, chunk.invalid());
    }
    text.push('\'');
    text
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// Characters that make a name look like another one or like two.
fn is_hostile(character: char) -> bool {
    let directions = ['\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{feff}'];
    character.is_control()
        || directions.contains(&character)
        || ('\u{202a}'..='\u{202e}').contains(&character)
        || ('\u{2066}'..='\u{2069}').contains(&character)
}

//! Destinations, and trees as values that can be compared.

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use membrane_files::{ArchiveError, Limits, Summary, import_zip};
use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A temporary directory and a handle on it.
pub struct Place {
    pub directory: TempDir,
    pub handle: Dir,
}

impl Place {
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let handle = open(directory.path());
        Self { directory, handle }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn tree(&self) -> Tree {
        tree(self.path())
    }
}

pub fn open(path: &Path) -> Dir {
    Dir::open_ambient_dir(path, ambient_authority()).expect("opening a directory")
}

/// Everything about a tree that an archive carries.
pub type Tree = BTreeMap<String, Node>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Directory,
    File { executable: bool, contents: Vec<u8> },
    Link { target: String },
}

pub fn tree(root: &Path) -> Tree {
    let mut found = Tree::new();
    collect(root, "", &mut found);
    found
}

fn collect(directory: &Path, prefix: &str, found: &mut Tree) {
    for entry in fs::read_dir(directory).expect("listing") {
        let entry = entry.expect("listing");
        let path = format!(
            "{prefix}{}",
            entry.file_name().to_str().expect("a UTF-8 name")
        );
        let kind = entry.file_type().expect("a type");
        let node = if kind.is_symlink() {
            let target = fs::read_link(entry.path()).expect("a link");
            Node::Link {
                target: target.to_str().expect("a UTF-8 target").to_owned(),
            }
        } else if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), found);
            Node::Directory
        } else {
            let mode = entry.metadata().expect("metadata").permissions().mode();
            let contents = fs::read(entry.path()).expect("reading");
            Node::File {
                executable: mode & 0o100 != 0,
                contents,
            }
        };
        found.insert(path, node);
    }
}

pub fn import(bytes: &[u8], place: &Place) -> Result<Summary, ArchiveError> {
    import_zip(Cursor::new(bytes), &place.handle, &Limits::default())
}

/// Imports what must be acceptable.
pub fn accept(bytes: &[u8]) -> (Tree, Summary) {
    let place = Place::new();
    let summary = import(bytes, &place).expect("an acceptable archive");
    (place.tree(), summary)
}

/// Runs a program that must be there, and returns whether it succeeded and what it printed.
pub fn run(command: &mut Command, package: &str) -> (bool, String) {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?}: {error}; install the Debian package {package}"),
    };
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

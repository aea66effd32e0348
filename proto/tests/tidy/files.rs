//! What is tracked, and its text.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tracked file.
pub struct File {
    /// From the top of the repository, with forward slashes.
    pub path: String,
    /// Its contents; what is not UTF-8 is replaced.
    pub text: String,
}

impl File {
    /// Lines with their numbers, from one.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(n, line)| (n + 1, line))
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the file is compiled into tests only.
    pub fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.contains("/tests/") || self.path.contains("/benches/") || name == "tests.rs"
    }
}

/// Cargo runs tests in the directory of their crate. Asked when they run and not compiled in: a
/// target directory that serves several checkouts would keep the path of another one.
fn top() -> PathBuf {
    let crate_directory = std::env::current_dir().expect("a working directory");
    crate_directory
        .parent()
        .expect("the crate lies in the repository")
        .to_owned()
}

/// Every tracked file that exists. In an unpacked archive, where git knows nothing, every file
/// that is not built or downloaded.
pub fn tracked() -> Vec<File> {
    let top = top();
    let paths = match top.join(".git").exists() {
        true => listed(&top),
        false => walked(&top),
    };
    assert!(paths.len() > 50, "the repository was not found");
    paths
        .into_iter()
        .filter_map(|path| {
            let bytes = fs::read(top.join(&path)).ok()?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Some(File { path, text })
        })
        .collect()
}

fn listed(top: &Path) -> Vec<String> {
    let mut git = Command::new("git");
    git.current_dir(top)
        .args(["-c", "safe.directory=*", "ls-files", "-z"]);
    let output = match git.output() {
        Ok(output) if output.status.success() => output.stdout,
        Ok(output) => panic!("git: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("{error}; install the Debian package git"),
    };
    let text = String::from_utf8(output).expect("paths in UTF-8");
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn walked(top: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![top.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let entry = entry.expect("an entry");
            let (name, path) = (entry.file_name(), entry.path());
            let kind = entry.file_type().expect("a type");
            if kind.is_dir() && name != "target" && name != "node_modules" {
                left.push(path);
            } else if kind.is_file() {
                let path = path.strip_prefix(top).expect("beneath the top");
                found.push(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

//! Toolchains on the server's PATH, and what an agent needs to see to use them: read-only
//! directories, PATH entries and variables. Pure over its parameters and the file system.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::HOME;
use super::plan::is_system;

/// A toolchain that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toolchain {
    /// For example `rust`.
    pub name: String,
    /// What has to be shown read-only; empty if the system's directories have it all.
    pub ro_binds: Vec<PathBuf>,
    /// What has to be put on the PATH.
    pub path: Vec<PathBuf>,
    /// What has to be set.
    pub env: Vec<(String, String)>,
}

/// Finds cargo, rustup, node and python on a PATH. `home` is the home directory of the user whose
/// toolchains they are; nothing of it is shown but what a toolchain needs, and never itself.
#[must_use]
pub fn detect(path: &OsStr, home: &Path) -> Vec<Toolchain> {
    let directories: Vec<PathBuf> = path_entries(path);
    let rust = find(&directories, "cargo").map(|cargo| rust(&cargo, home));
    let node = find(&directories, "node").map(|node| installed("node", &node, home));
    let python = find(&directories, "python3").map(|python| python_at(&python, home));
    [rust, node, python].into_iter().flatten().collect()
}

fn path_entries(path: &OsStr) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let entries = path.as_bytes().split(|&byte| byte == b':');
    let entries = entries.map(|entry| PathBuf::from(OsStr::from_bytes(entry)));
    entries.filter(|entry| entry.is_absolute()).collect()
}

fn find(directories: &[PathBuf], program: &str) -> Option<PathBuf> {
    let mut candidates = directories.iter().map(|directory| directory.join(program));
    candidates.find(|candidate| candidate.is_file())
}

/// Rust by rustup, or whatever else `cargo` is. Of CARGO_HOME only the programs are shown: beside
/// them are credentials.
fn rust(cargo: &Path, home: &Path) -> Toolchain {
    let programs = cargo.parent().unwrap_or(Path::new("/"));
    let Some(rustup_home) = rustup_home(programs, home) else {
        return installed("rust", cargo, home);
    };
    let mut env = vec![
        ("CARGO_HOME".to_owned(), format!("{HOME}/.cargo")),
        (
            "RUSTUP_HOME".to_owned(),
            rustup_home.to_string_lossy().into_owned(),
        ),
        // Its directory is read-only and there is nowhere to download from.
        ("RUSTUP_AUTO_INSTALL".to_owned(), "0".to_owned()),
    ];
    env.extend(only_toolchain(&rustup_home).map(|name| ("RUSTUP_TOOLCHAIN".to_owned(), name)));
    let binds = [programs.to_owned(), rustup_home];
    Toolchain {
        name: "rust".to_owned(),
        ro_binds: binds.into_iter().filter(|bind| !is_system(bind)).collect(),
        path: vec![programs.to_owned()],
        env,
    }
}

/// Where rustup keeps its toolchains, if `programs` are its proxies.
fn rustup_home(programs: &Path, home: &Path) -> Option<PathBuf> {
    programs.join("rustup").is_file().then_some(())?;
    let beside = programs.parent().and_then(Path::parent);
    let candidates = [
        Some(home.join(".rustup")),
        beside.map(|beside| beside.join(".rustup")),
        beside.map(|beside| beside.join("rustup")),
    ];
    let mut candidates = candidates.into_iter().flatten();
    candidates.find(|candidate| candidate.join("toolchains").is_dir())
}

/// The toolchain to name where rustup has no default one. Naming it always would overrule a
/// project's own choice.
fn only_toolchain(rustup_home: &Path) -> Option<String> {
    let settings = fs::read_to_string(rustup_home.join("settings.toml")).unwrap_or_default();
    if settings
        .lines()
        .any(|line| line.trim_start().starts_with("default_toolchain"))
    {
        return None;
    }
    let toolchains = fs::read_dir(rustup_home.join("toolchains")).ok()?;
    let names = toolchains.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.min()
}

/// Python by pyenv, or whatever else `python3` is.
fn python_at(python: &Path, home: &Path) -> Toolchain {
    let root = python
        .parent()
        .filter(|shims| shims.ends_with("shims"))
        .and_then(Path::parent);
    let Some(root) = root.filter(|root| root.join("versions").is_dir() && root != &home) else {
        return installed("python", python, home);
    };
    Toolchain {
        name: "python".to_owned(),
        ro_binds: vec![root.to_owned()],
        path: vec![root.join("shims"), root.join("bin")],
        env: vec![("PYENV_ROOT".to_owned(), root.to_string_lossy().into_owned())],
    }
}

/// A program in an installation of its own, `<prefix>/bin/<program>` behind all links. What is
/// installed among other things is shown alone.
fn installed(name: &str, program: &Path, home: &Path) -> Toolchain {
    let real = behind_links(program);
    let mut toolchain = Toolchain {
        name: name.to_owned(),
        ..Toolchain::default()
    };
    if is_system(&real) {
        return toolchain;
    }
    let programs = real.parent().unwrap_or(Path::new("/"));
    let prefix = programs.parent().filter(|_| programs.ends_with("bin"));
    let own = prefix.filter(|prefix| is_own_prefix(prefix, home));
    toolchain.ro_binds.push(own.unwrap_or(&real).to_owned());
    toolchain.path.push(programs.to_owned());
    toolchain
}

#[expect(
    clippy::disallowed_methods,
    reason = "where an operator's own program is; nothing is opened by means of it"
)]
fn behind_links(program: &Path) -> PathBuf {
    fs::canonicalize(program).unwrap_or_else(|_| program.to_owned())
}

fn is_own_prefix(prefix: &Path, home: &Path) -> bool {
    let shared = [Path::new("/"), Path::new("/opt"), &home.join(".local")];
    !home.starts_with(prefix) && !shared.contains(&prefix)
}

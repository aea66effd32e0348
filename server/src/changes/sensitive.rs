//! Files that other programs obey, often without being asked: a person should look twice when an
//! agent changes one. They have no power inside the sandbox that a command would not have, and none
//! outside as long as nobody opens the tree there.

/// Why a person should look twice at a change of this path, in a sentence; `None` if there is no
/// reason.
#[must_use]
pub fn reason(path: &[u8]) -> Option<&'static str> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let (name, directories) = parts.split_last()?;
    in_a_directory(directories, name).or_else(|| by_name(name))
}

fn in_a_directory(directories: &[&[u8]], name: &[u8]) -> Option<&'static str> {
    for (index, directory) in directories.iter().enumerate() {
        let child = directories.get(index + 1).copied().unwrap_or(name);
        match (*directory, child) {
            (b".git", b"hooks") => return Some("git runs this by itself"),
            (b".git", b"config" | b"info" | b"modules") => {
                return Some("git's configuration can run programs");
            }
            (b".claude", _) => return Some("it configures coding agents"),
            (b".github", b"workflows") => return Some("it runs in continuous integration"),
            (b".vscode" | b".idea", _) => return Some("editors obey it, and it can run programs"),
            (b".husky", _) => return Some("git hooks run it"),
            (b".cargo", b"config" | b"config.toml") => {
                return Some("cargo obeys it, and it can run programs");
            }
            _ => {}
        }
    }
    None
}

fn by_name(name: &[u8]) -> Option<&'static str> {
    match name {
        b".mcp.json" => Some("it names programs that agents start"),
        b".bashrc" | b".bash_profile" | b".bash_login" | b".bash_logout" | b".profile"
        | b".zshrc" | b".zshenv" | b".zprofile" | b".zlogin" | b".inputrc" => {
            Some("shells run it when they start")
        }
        b".envrc" => Some("direnv runs it"),
        b".gitmodules" | b".gitattributes" | b".gitconfig" => {
            Some("git's configuration can run programs")
        }
        b".npmrc" | b".yarnrc" | b".yarnrc.yml" | b".pypirc" | b"pip.conf" => {
            Some("package managers obey it, and it can hold credentials")
        }
        b".gitlab-ci.yml" | b"Jenkinsfile" => Some("it runs in continuous integration"),
        b"CLAUDE.md" | b"AGENTS.md" => Some("it instructs coding agents"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_other_programs_obey_are_sensitive() {
        for path in [
            ".mcp.json",
            "sub/.mcp.json",
            ".claude/settings.json",
            ".git/hooks/pre-commit",
            ".git/config",
            "vendor/lib/.git/hooks/post-checkout",
            ".bashrc",
            ".github/workflows/ci.yml",
            ".cargo/config.toml",
            ".gitattributes",
        ] {
            assert!(reason(path.as_bytes()).is_some(), "{path}");
        }
        for path in [
            "src/main.rs",
            ".git/objects/aa/bb",
            "hooks/pre-commit",
            ".github/README.md",
            "mcp.json",
            "",
        ] {
            assert_eq!(reason(path.as_bytes()), None, "{path}");
        }
    }
}

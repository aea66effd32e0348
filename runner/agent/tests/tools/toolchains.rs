use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use membrane_agent::sandbox::{SandboxConfig, toolchains};
use serde_json::json;

use crate::support::{Bench, good, sandbox, text, with_this_machines_toolchains};

#[tokio::test]
async fn a_crate_without_dependencies_is_built_and_tested_inside() {
    let bench = Bench::with(sandbox(with_this_machines_toolchains()).await);
    bench.put(
        "hello/Cargo.toml",
        "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    );
    bench.put("hello/src/main.rs", "fn main() { println!(\"built inside\"); }\n\n#[test]\nfn one_is_one() { assert_eq!(1, 1); }\n");
    let command = "cd hello && cargo build --offline 2>&1 && ./target/debug/hello && cargo test --offline 2>&1 | grep 'test result'";
    let output = bench
        .call("Bash", json!({ "command": command, "timeout": 50_000 }))
        .await;
    let said = good(&output);
    assert!(said.contains("\nbuilt inside\n"), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    assert!(bench.file("hello/target/debug/hello").exists());
}

#[tokio::test]
async fn cargos_credentials_are_not_shown() {
    let bench = Bench::with(sandbox(with_this_machines_toolchains()).await);
    let script =
        "cargo --version; echo $CARGO_HOME; ls -A $(dirname $(dirname $(command -v cargo)))";
    let output = bench.bash(script).await;
    let said = good(&output);
    assert!(
        said.contains("\n/home/agent/.cargo\nbin\n(Exit code 0.)"),
        "{said}"
    );
}

#[tokio::test]
async fn node_and_python_run_inside() {
    let bench = Bench::with(sandbox(with_this_machines_toolchains()).await);
    let script = "node -e 'console.log(6 * 7)'; python3 -c 'import json, ssl, sys; print(sys.version_info[0])'";
    let output = bench.bash(script).await;
    assert!(good(&output).starts_with("42\n3\n"), "{}", text(&output));
}

fn program(path: &Path) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
    fs::write(path, "#!/bin/sh\n").expect("a program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// What is found for one program in one directory of a made-up home.
fn found(home: &Path, directory: &str) -> toolchains::Toolchain {
    let path = OsString::from(format!(
        ":relative:{}:/nonexistent",
        home.join(directory).display()
    ));
    let mut found = toolchains::detect(&path, home);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn rustup_is_found_by_its_proxies_and_keeps_a_projects_choice() {
    let home = tempfile::tempdir().expect("a home");
    let home = home.path();
    program(&home.join(".cargo/bin/rustup"));
    symlink("rustup", home.join(".cargo/bin/cargo")).expect("a link");
    fs::write(home.join(".cargo/credentials.toml"), "").expect("a file");
    fs::create_dir_all(home.join(".rustup/toolchains/stable")).expect("a toolchain");
    let toolchain = found(home, ".cargo/bin");
    assert_eq!(toolchain.name, "rust");
    assert_eq!(
        toolchain.ro_binds,
        [home.join(".cargo/bin"), home.join(".rustup")]
    );
    assert_eq!(toolchain.path, [home.join(".cargo/bin")]);
    let value = |name: &str| {
        toolchain
            .env
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.clone())
    };
    assert_eq!(value("CARGO_HOME").as_deref(), Some("/home/agent/.cargo"));
    assert_eq!(
        value("RUSTUP_HOME").as_deref(),
        home.join(".rustup").to_str()
    );
    assert_eq!(
        value("RUSTUP_TOOLCHAIN").as_deref(),
        Some("stable"),
        "there is no default"
    );

    fs::write(
        home.join(".rustup/settings.toml"),
        "default_toolchain = \"stable\"\n",
    )
    .expect("settings");
    let toolchain = found(home, ".cargo/bin");
    assert!(
        !toolchain
            .env
            .iter()
            .any(|(name, _)| name == "RUSTUP_TOOLCHAIN"),
        "{toolchain:?}"
    );
}

#[test]
fn a_version_managers_node_is_shown_with_its_own_directory_only() {
    let home = tempfile::tempdir().expect("a home");
    let home = home.path();
    program(&home.join(".nvm/versions/node/v20/bin/node"));
    let toolchain = found(home, ".nvm/versions/node/v20/bin");
    assert_eq!(toolchain.ro_binds, [home.join(".nvm/versions/node/v20")]);
    assert_eq!(toolchain.path, [home.join(".nvm/versions/node/v20/bin")]);
}

#[test]
fn the_home_directory_itself_is_never_shown() {
    for directory in ["bin", ".local/bin", "tools"] {
        let home = tempfile::tempdir().expect("a home");
        let home = home.path();
        program(&home.join(directory).join("node"));
        let toolchain = found(home, directory);
        assert_eq!(
            toolchain.ro_binds,
            [home.join(directory).join("node")],
            "the program alone"
        );
    }
    let home = tempfile::tempdir().expect("a home");
    let home = home.path();
    program(&home.join("shims/python3"));
    fs::create_dir(home.join("versions")).expect("a directory");
    assert_eq!(found(home, "shims").ro_binds, [home.join("shims/python3")]);
}

#[test]
fn pyenv_is_shown_as_a_whole() {
    let home = tempfile::tempdir().expect("a home");
    let home = home.path();
    program(&home.join(".pyenv/shims/python3"));
    fs::create_dir_all(home.join(".pyenv/versions/3.12.1")).expect("a version");
    let toolchain = found(home, ".pyenv/shims");
    assert_eq!(toolchain.ro_binds, [home.join(".pyenv")]);
    assert_eq!(
        toolchain.path,
        [home.join(".pyenv/shims"), home.join(".pyenv/bin")]
    );
}

#[test]
fn programs_of_the_system_need_nothing() {
    let found = toolchains::detect(&OsString::from("/usr/bin"), Path::new("/root"));
    assert!(
        found
            .iter()
            .all(|toolchain| toolchain.ro_binds.is_empty() && toolchain.path.is_empty()),
        "{found:?}"
    );
}

/// A toolchain of one program that says its name.
fn offered(directory: &Path, name: &str) -> toolchains::Toolchain {
    let programs = directory.join(name);
    fs::create_dir_all(&programs).expect("a directory");
    let program = programs.join(format!("say-{name}"));
    fs::write(
        &program,
        format!("#!/bin/sh\necho {name} says $WORD_OF_{name}\n"),
    )
    .expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
    toolchains::Toolchain {
        name: name.to_owned(),
        ro_binds: vec![programs.clone()],
        path: vec![programs],
        env: vec![(format!("WORD_OF_{name}"), "hello".to_owned())],
    }
}

#[tokio::test]
async fn a_hidden_toolchain_is_neither_shown_nor_on_the_path_nor_set() {
    let directory =
        tempfile::tempdir_in("/var/tmp").expect("a directory outside of the sandbox's own places");
    let (first, second) = (
        offered(directory.path(), "first"),
        offered(directory.path(), "second"),
    );
    let config = SandboxConfig::default().with_toolchains(&[first, second.clone()]);
    let bench = Bench::with(sandbox(config).await);
    let both = bench.bash("say-first; say-second").await;
    assert!(good(&both).starts_with("first says hello\nsecond says hello\n"));
    bench
        .tools
        .hide_toolchains(&["second".to_owned(), "unknown".to_owned()]);
    let ask = format!(
        "say-first; say-second; ls {}; env | grep -c WORD_OF_second; echo $PATH | grep -c /second",
        second.path[0].display()
    );
    let output = bench.bash(&ask).await;
    let said = text(&output);
    assert!(said.contains("first says hello"), "{said}");
    assert!(said.contains("say-second: command not found"), "{said}");
    assert!(said.contains("No such file or directory"), "{said}");
    assert!(said.contains("\n0\n0\n"), "{said}");
    bench.tools.hide_toolchains(&[]);
    assert!(good(&bench.bash("say-second").await).starts_with("second says hello"));
}

//! The sandbox fails closed: where it can't be had, no process is started.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use membrane_agent::sandbox::{Sandbox, SandboxConfig, SandboxMode, SandboxState, Unavailable};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, HANG, bad, command, good, inside, processes_with, sandbox, text};

/// A program in the place of bubblewrap.
fn impostor(directory: &Path, script: &str) -> SandboxConfig {
    let path = directory.join("bwrap");
    fs::write(&path, format!("#!/bin/bash\n{script}\n")).expect("the script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    SandboxConfig {
        bwrap: Some(path),
        ..SandboxConfig::default()
    }
}

async fn refused(mut config: SandboxConfig) -> Unavailable {
    config.inside = Some(inside());
    Sandbox::start(config)
        .await
        .expect_err("the sandbox is not there")
}

#[tokio::test]
async fn a_missing_bubblewrap_is_refused_with_the_command_that_installs_it() {
    let config = SandboxConfig {
        bwrap: Some(PathBuf::from("/nonexistent/bwrap")),
        ..SandboxConfig::default()
    };
    let why = refused(config).await;
    assert!(why.reason.contains("was not found"), "{why}");
    assert!(why.fix.contains("apt-get install bubblewrap"), "{why}");
}

#[tokio::test]
async fn a_bubblewrap_that_fails_is_refused_with_its_words() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = "echo 'bwrap: No permissions to create new namespace' >&2; exit 1";
    let why = refused(impostor(directory.path(), script)).await;
    assert!(
        why.reason
            .contains("No permissions to create new namespace"),
        "{why}"
    );
    assert!(why.fix.contains("user namespaces"), "{why}");
}

#[tokio::test]
async fn a_bubblewrap_that_confines_nothing_is_found_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = r#"while [ "$1" != -- ]; do shift; done; shift
exec "$@""#;
    let why = refused(impostor(directory.path(), script)).await;
    assert!(why.reason.starts_with("a process inside"), "{why}");
}

#[tokio::test]
async fn a_bubblewrap_that_leaves_one_thing_out_is_found_out() {
    let directory = tempfile::tempdir().expect("a directory");
    for (left_out, instead) in [
        ("--unshare-net", "--die-with-parent"),
        ("--remount-ro", "--dir"),
        ("--cap-drop", "--cap-add"),
    ] {
        let script = format!(
            r#"arguments=()
for argument; do
if [ "$argument" = {left_out} ]; then arguments+=({instead}); else arguments+=("$argument"); fi
done
exec /usr/bin/bwrap "${{arguments[@]}}""#
        );
        let why = refused(impostor(directory.path(), &script)).await;
        assert!(
            why.reason.starts_with("a process inside"),
            "{left_out}: {why}"
        );
    }
}

#[tokio::test]
async fn without_the_sandbox_bash_is_refused_and_nothing_runs() {
    let why = Unavailable {
        reason: "bubblewrap (bwrap) was not found".to_owned(),
        fix: "Install it.".to_owned(),
    };
    let bench = Bench::with(Sandbox::unavailable(why));
    let output = bench.bash("touch ran").await;
    let text = bad(&output);
    assert!(
        text.contains("Nothing was run") && text.contains("Install it."),
        "{text}"
    );
    assert!(!bench.file("ran").exists());
    good(
        &bench
            .call("Write", json!({ "file_path": "a.txt", "content": "a" }))
            .await,
    );
}

#[tokio::test]
async fn a_sandbox_that_breaks_later_runs_nothing_either() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = impostor(directory.path(), "exec /usr/bin/bwrap \"$@\"");
    let program = config.bwrap.clone().expect("the script");
    let bench = Bench::with(sandbox(config).await);
    good(&bench.bash("true").await);
    fs::write(&program, "#!/bin/bash\necho 'bwrap: broken' >&2; exit 1\n").expect("the script");
    assert!(bad(&bench.bash("touch ran").await).contains("Nothing was run"));
    fs::remove_file(&program).expect("removed");
    assert!(bad(&bench.bash("touch ran").await).contains("Nothing was run"));
    assert!(!bench.file("ran").exists());
}

#[tokio::test]
async fn a_configuration_that_opens_the_sandbox_is_refused() {
    for bind in [
        "/",
        "/home",
        "/home/agent",
        "/proc",
        "/etc",
        "/tmp",
        "/workspace",
        "/srv/../etc",
        "relative",
    ] {
        let config = SandboxConfig {
            ro_binds: vec![PathBuf::from(bind)],
            ..SandboxConfig::default()
        };
        let why = refused(config).await;
        assert!(why.fix.contains("configuration"), "{bind}: {why}");
    }
    for name in ["", "A=B", "A\0B"] {
        let config = SandboxConfig {
            env: vec![(name.to_owned(), "x".to_owned())],
            ..SandboxConfig::default()
        };
        refused(config).await;
    }
}

#[tokio::test]
async fn the_state_says_what_holds() {
    assert_eq!(
        sandbox(SandboxConfig::default()).await.state(),
        SandboxState::Enforced
    );
    let off = SandboxConfig {
        mode: SandboxMode::None,
        ..SandboxConfig::default()
    };
    assert_eq!(sandbox(off).await.state(), SandboxState::Disabled);
    let why = Unavailable {
        reason: "r".to_owned(),
        fix: "f".to_owned(),
    };
    let expected = SandboxState::Unavailable {
        reason: "r".to_owned(),
        fix: "f".to_owned(),
    };
    assert_eq!(Sandbox::unavailable(why).state(), expected);
}

#[tokio::test]
async fn switched_off_by_the_operator_commands_run_with_a_clean_environment() {
    let config = SandboxConfig {
        mode: SandboxMode::None,
        env: vec![("EXTRA".to_owned(), "set".to_owned())],
        ..SandboxConfig::default()
    };
    let bench = Bench::with(sandbox(config).await);
    let output = bench.bash("cd / && cd - >/dev/null; touch here; echo $EXTRA $USER; env | cut -d= -f1 | sort | tr '\\n' ' '").await;
    let text = good(&output);
    assert!(text.starts_with("set agent\n"), "{text}");
    assert!(!text.contains("CARGO"), "{text}");
    assert!(bench.file("here").exists());
    let output = bench
        .bash("mkdir -p sub; cd sub; sleep 600 & setsid sleep 2 & echo done")
        .await;
    assert!(good(&output).starts_with("done\n"));
    assert_eq!(command(&output).cwd, "/workspace/sub", "{}", text);
}

#[tokio::test]
async fn switched_off_an_interrupt_kills_the_process_group() {
    let config = SandboxConfig {
        mode: SandboxMode::None,
        ..SandboxConfig::default()
    };
    let bench = Bench::with(sandbox(config).await);
    let cancel = CancellationToken::new();
    let script = "bash -c 'touch begun; exec -a membrane-marker-off sleep 600' & wait";
    let calling = bench.call_until("Bash", json!({ "command": script }), cancel.clone());
    let interrupting = async {
        while !bench.file("begun").exists() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (output, ()) = tokio::join!(calling, interrupting);
    assert!(command(&output).interrupted, "{}", text(&output));
    let gone = async {
        while !processes_with("membrane-marker-off").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANG, gone).await.expect("it is gone");
}

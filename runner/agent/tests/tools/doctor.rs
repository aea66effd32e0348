use std::ffi::OsString;
use std::path::PathBuf;

use membrane_agent::sandbox::{Check, Outcome, SandboxConfig, SandboxMode, doctor, toolchains};

use crate::support::with_this_machines_toolchains;

fn named<'checks>(checks: &'checks [Check], name: &str) -> &'checks Check {
    let found = checks.iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no check {name}: {checks:#?}"))
}

#[tokio::test]
async fn the_doctor_tells_what_an_agent_will_find() {
    let checks = doctor(&with_this_machines_toolchains()).await;
    assert!(
        named(&checks, "bubblewrap")
            .detail
            .contains("bubblewrap 0."),
        "{checks:#?}"
    );
    assert_eq!(
        named(&checks, "sandbox").outcome,
        Outcome::Ok,
        "{checks:#?}"
    );
    for name in ["Landlock", "limit memory", "limit processes", "limit file"] {
        assert_eq!(named(&checks, name).outcome, Outcome::Ok, "{checks:#?}");
    }
    for program in ["bash inside", "cargo inside", "rustc inside"] {
        let check = named(&checks, program);
        assert_eq!(check.outcome, Outcome::Ok, "{check:?}");
        assert!(check.detail.contains('.'), "a version: {check:?}");
    }
    assert!(
        checks
            .iter()
            .all(|check| check.outcome == Outcome::Ok || !check.fix.is_empty())
    );
}

#[tokio::test]
async fn without_bubblewrap_the_doctor_names_the_command_that_installs_it() {
    let config = SandboxConfig {
        bwrap: Some(PathBuf::from("/nonexistent/bwrap")),
        ..SandboxConfig::default()
    };
    let checks = doctor(&config).await;
    for name in ["bubblewrap", "sandbox"] {
        assert_eq!(named(&checks, name).outcome, Outcome::Fail);
        assert!(
            named(&checks, name)
                .fix
                .contains("apt-get install bubblewrap")
        );
    }
    assert!(
        !checks.iter().any(|check| check.name.ends_with("inside")),
        "nothing is run"
    );
}

#[tokio::test]
async fn a_missing_read_only_directory_and_a_sandbox_switched_off_are_found() {
    let config = SandboxConfig {
        mode: SandboxMode::None,
        ro_binds: vec![PathBuf::from("/nonexistent/tools")],
        ..SandboxConfig::default()
    };
    let checks = doctor(&config).await;
    assert_eq!(named(&checks, "read-only directory").outcome, Outcome::Fail);
    assert_eq!(named(&checks, "sandbox").outcome, Outcome::Warn);
}

#[test]
fn an_empty_path_has_no_toolchains() {
    assert_eq!(
        toolchains::detect(&OsString::new(), &PathBuf::from("/nonexistent")),
        Vec::new()
    );
}

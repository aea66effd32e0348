//! The rules of the repository that no compiler knows: who may import whom, which words stand
//! where, what the top level may contain, and what must never be committed. It lives in this crate
//! because that is the one that everything builds anyway.

mod crates;
mod files;
mod secrets;
mod words;

use files::File;

/// Fails with every finding at once, so that one run shows all there is to mend.
fn assert_none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}\n  {}", findings.join("\n  "));
}

#[test]
fn crates_depend_only_on_what_their_role_allows() {
    let findings = crates::forbidden_dependencies(&files::tracked());
    assert_none("see ARCHITECTURE.md for who may import whom:", findings);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let findings = crates::without_lints(&files::tracked());
    assert_none("add `[lints] workspace = true`:", findings);
}

#[test]
fn words_stand_only_where_they_may() {
    let findings = words::misplaced(&files::tracked());
    assert_none("each word has its place:", findings);
}

#[test]
fn no_test_is_skipped() {
    let findings = words::skipped_tests(&files::tracked());
    assert_none("a skipped test is a failure; mend or remove it:", findings);
}

#[test]
fn nothing_looks_like_a_key() {
    let findings = secrets::all(&files::tracked());
    assert_none("write a placeholder in angle brackets instead:", findings);
}

#[test]
fn no_path_of_a_developers_machine_is_committed() {
    let findings = words::machine_paths(&files::tracked());
    assert_none("use a relative path:", findings);
}

#[test]
fn rust_files_stay_below_600_lines() {
    let long = |file: &File| match file.text.lines().count() {
        lines if file.path.ends_with(".rs") && lines > 600 => {
            Some(format!("{}: {lines} lines", file.path))
        }
        _ => None,
    };
    let findings = files::tracked().iter().filter_map(long).collect();
    assert_none("a second room is waiting in these files:", findings);
}

#[test]
fn the_top_level_is_the_architecture() {
    const ALLOWED: [&str; 17] = [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "Makefile",
        "README.md",
        "SECURITY.md",
        "app",
        "deploy",
        "end2end",
        "migration",
        "proto",
        "runner",
        "server",
        "style",
    ];
    let strange = |file: &File| {
        let top = file.path.split('/').next().unwrap_or_default();
        (!top.starts_with('.') && !ALLOWED.contains(&top)).then(|| file.path.clone())
    };
    let findings = files::tracked().iter().filter_map(strange).collect();
    assert_none("only roles stand at the top:", findings);
}

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use crate::support::{Bench, bad, change, good};

async fn write(bench: &Bench, path: &str, content: &str) -> membrane_agent::tools::ToolOutput {
    bench
        .call("Write", json!({ "file_path": path, "content": content }))
        .await
}

#[tokio::test]
async fn a_new_file_is_created_with_its_directories() {
    let bench = Bench::without_sandbox();
    let output = write(&bench, "/workspace/a/b/c.txt", "one\ntwo\n").await;
    good(&output);
    assert_eq!(bench.content("a/b/c.txt"), "one\ntwo\n");
    let detail = change(&output);
    assert_eq!(detail.path, "/workspace/a/b/c.txt");
    assert!(detail.created);
    assert_eq!((detail.lines_added, detail.lines_removed), (2, 0));
    assert_eq!(detail.unified_diff, "@@ -0,0 +1,2 @@\n+one\n+two\n");
    let mode = fs::metadata(bench.file("a/b/c.txt"))
        .expect("metadata")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[tokio::test]
async fn an_existing_file_has_to_be_read_first() {
    let bench = Bench::without_sandbox();
    bench.put("a.txt", "old\n");
    assert!(bad(&write(&bench, "a.txt", "new\n").await).contains("has not been read yet"));
    assert_eq!(bench.content("a.txt"), "old\n");
    good(&bench.read("a.txt").await);
    let output = write(&bench, "a.txt", "new\n").await;
    good(&output);
    assert_eq!(bench.content("a.txt"), "new\n");
    assert!(!change(&output).created);
    assert_eq!(change(&output).unified_diff, "@@ -1 +1 @@\n-old\n+new\n");
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_read_is_not_overwritten() {
    let bench = Bench::without_sandbox();
    bench.put("a.txt", "old\n");
    good(&bench.read("a.txt").await);
    fs::remove_file(bench.file("a.txt")).expect("removed");
    bench.put("a.txt", "else\n");
    assert!(bad(&write(&bench, "a.txt", "new\n").await).contains("has changed since"));
    assert_eq!(bench.content("a.txt"), "else\n");
}

#[tokio::test]
async fn what_was_written_may_be_written_again_without_reading() {
    let bench = Bench::without_sandbox();
    symlink("real", bench.file("link")).expect("a link");
    good(&write(&bench, "real/a.txt", "1\n").await);
    good(&write(&bench, "link/a.txt", "2\n").await);
    good(&write(&bench, "link/b.txt", "1\n").await);
    good(&write(&bench, "real/b.txt", "2\n").await);
    assert_eq!(bench.content("real/a.txt"), "2\n");
}

#[tokio::test]
async fn the_mode_is_kept_and_nothing_is_left_behind() {
    let bench = Bench::without_sandbox();
    let path = bench.put("run.sh", "#!/bin/sh\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).expect("a mode");
    good(&bench.read("run.sh").await);
    good(&write(&bench, "run.sh", "#!/bin/sh\necho\n").await);
    let mode = fs::metadata(&path).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o7777, 0o751, "without set-user-id");
    assert_eq!(
        fs::read_dir(bench.file("")).expect("the directory").count(),
        1
    );
}

#[tokio::test]
async fn the_old_file_is_replaced_and_not_written_into() {
    let bench = Bench::without_sandbox();
    let path = bench.put("a.txt", "old\n");
    fs::hard_link(&path, bench.file("other.txt")).expect("a hard link");
    good(&bench.read("a.txt").await);
    good(&write(&bench, "a.txt", "new\n").await);
    assert_eq!(bench.content("other.txt"), "old\n");
}

#[tokio::test]
async fn a_link_inside_the_workspace_is_written_through() {
    let bench = Bench::without_sandbox();
    bench.put("real.txt", "old\n");
    symlink("real.txt", bench.file("link.txt")).expect("a link");
    good(&bench.read("link.txt").await);
    good(&write(&bench, "link.txt", "new\n").await);
    assert!(bench.file("link.txt").is_symlink());
    assert_eq!(bench.content("real.txt"), "new\n");
}

#[tokio::test]
async fn what_is_no_file_is_not_written() {
    let bench = Bench::without_sandbox();
    bench.put("dir/file", "x");
    symlink("nowhere", bench.file("dangling")).expect("a link");
    for (path, words) in [
        ("dir", "is not a regular file"),
        (".", "is a directory"),
        ("dir/file/below", "is below something"),
        ("dangling", "symbolic link to nothing"),
        ("/etc/x", "is outside"),
    ] {
        let said = bad(&write(&bench, path, "x").await);
        assert!(said.contains(words), "{path}: {said}");
    }
}

#[tokio::test]
async fn too_much_content_is_refused() {
    let bench = Bench::without_sandbox();
    let said = bad(&write(&bench, "big", &"x".repeat(16 * 1024 * 1024 + 1)).await);
    assert!(said.contains("larger than 16 MiB"), "{said}");
    good(&write(&bench, "big", &"x".repeat(16 * 1024 * 1024)).await);
}

#[tokio::test]
async fn a_change_too_large_to_show_has_counts_and_no_diff() {
    let bench = Bench::without_sandbox();
    let output = write(&bench, "many.txt", &"line\n".repeat(1_000_000)).await;
    good(&output);
    assert_eq!(change(&output).unified_diff, "");
    assert_eq!(change(&output).lines_added, 1_000_000);
}

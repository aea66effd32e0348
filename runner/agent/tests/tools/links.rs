//! No link leads a tool out of its tree, also not one that appears while the tool is at work.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Bench, bad, found, good, text};

const SECRET: &str = "outside-the-tree";
const ROUNDS: usize = 400;

/// A directory outside, with a secret in it.
fn outside() -> TempDir {
    let outside = tempfile::tempdir().expect("a directory outside");
    fs::write(outside.path().join("secret.txt"), SECRET).expect("a secret");
    outside
}

#[tokio::test]
async fn links_that_lead_out_are_refused_by_every_tool() {
    let bench = Bench::without_sandbox();
    let outside = outside();
    let deep = format!(
        "../../../../{}",
        outside
            .path()
            .file_name()
            .expect("a name")
            .to_str()
            .expect("plain")
    );
    symlink(outside.path(), bench.file("absolute")).expect("a link");
    symlink("../../../../../../../../etc", bench.file("relative")).expect("a link");
    symlink(outside.path().join("secret.txt"), bench.file("file")).expect("a link");
    symlink("../home", bench.file("sibling")).expect("a link");
    symlink("absolute", bench.file("chain")).expect("a link");
    symlink(deep, bench.file("deep")).expect("a link");
    for path in [
        "absolute/secret.txt",
        "file",
        "chain/secret.txt",
        "relative/passwd",
        "sibling/x",
        "deep/secret.txt",
    ] {
        let read = bench.read(path).await;
        assert!(!bad(&read).contains(SECRET), "{path}");
        let write = json!({ "file_path": path, "content": "overwritten" });
        bad(&bench.call("Write", write).await);
        let edit = json!({ "file_path": path, "old_string": "outside", "new_string": "x" });
        bad(&bench.call("Edit", edit).await);
        bad(&bench
            .call("Grep", json!({ "pattern": ".", "path": path }))
            .await);
        bad(&bench
            .call(
                "Glob",
                json!({ "pattern": "*", "path": Path::new(path).parent().expect("a parent") }),
            )
            .await);
    }
    let new = json!({ "file_path": "absolute/new.txt", "content": "x" });
    bad(&bench.call("Write", new).await);
    assert_eq!(
        fs::read_to_string(outside.path().join("secret.txt")).expect("the secret"),
        SECRET
    );
    assert_eq!(fs::read_dir(outside.path()).expect("outside").count(), 1);
    let everything = bench.call("Grep", json!({ "pattern": "." })).await;
    assert_eq!(found(&everything).match_count, 0, "{}", text(&everything));
}

#[tokio::test]
async fn ignore_files_that_are_links_or_fifos_are_not_read() {
    let bench = Bench::without_sandbox();
    let outside = tempfile::NamedTempFile::new().expect("a file outside");
    fs::write(outside.path(), "needle.txt\n").expect("rules");
    bench.put("one/needle.txt", "needle\n");
    bench.put("two/needle.txt", "needle\n");
    symlink(outside.path(), bench.file("one/.gitignore")).expect("a link");
    let fifo = bench.file("two/.gitignore");
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(CWD, fifo, rustix::fs::FileType::Fifo, mode, 0).expect("a fifo");
    let output = bench.call("Grep", json!({ "pattern": "needle" })).await;
    assert_eq!(found(&output).match_count, 2, "{}", good(&output));
}

#[tokio::test]
async fn fifos_are_never_waited_for() {
    let bench = Bench::without_sandbox();
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    for name in ["pipe", "pipe.ipynb", "pipe.png"] {
        rustix::fs::mknodat(CWD, bench.file(name), rustix::fs::FileType::Fifo, mode, 0)
            .expect("a fifo");
        bad(&bench.read(name).await);
        bad(&bench
            .call("Write", json!({ "file_path": name, "content": "x" }))
            .await);
        bad(&bench
            .call("Grep", json!({ "pattern": "x", "path": name }))
            .await);
    }
    assert_eq!(
        good(&bench.call("Grep", json!({ "pattern": "x" })).await),
        "No matches found."
    );
    assert_eq!(
        good(&bench.call("Glob", json!({ "pattern": "*" })).await),
        "No files found."
    );
}

/// Swaps `one` and `other` until it is told to stop.
fn keep_swapping(one: &Path, other: &Path, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let _ = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
    }
}

/// Runs `work` while `directory` of the workspace is now itself, now a link to `outside`.
async fn while_swapping(bench: &Bench, outside: &Path, work: impl AsyncFn()) {
    fs::create_dir_all(bench.file("directory")).expect("a directory");
    symlink(outside, bench.data.path().join("link")).expect("a link");
    let (one, other) = (bench.file("directory"), bench.data.path().join("link"));
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let swapper = std::thread::spawn(move || keep_swapping(&one, &other, &stopped));
    work().await;
    stop.store(true, Ordering::Relaxed);
    swapper.join().expect("the swapper ends");
}

#[tokio::test]
async fn a_directory_swapped_for_a_link_never_leads_a_read_out() {
    let bench = Bench::without_sandbox();
    let outside = outside();
    bench.put("directory/secret.txt", "inside");
    let (good_reads, refused) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    while_swapping(&bench, outside.path(), async || {
        for _ in 0..ROUNDS {
            let output = bench.read("directory/secret.txt").await;
            assert!(!text(&output).contains(SECRET), "an escape");
            let counter = if output.is_error {
                &refused
            } else {
                &good_reads
            };
            counter.set(counter.get() + 1);
            let output = bench
                .call(
                    "Grep",
                    json!({ "pattern": "tree", "output_mode": "content" }),
                )
                .await;
            assert!(!text(&output).contains(SECRET), "an escape");
            let output = bench.call("Glob", json!({ "pattern": "**/*" })).await;
            assert!(found(&output).match_count <= 1, "{}", text(&output));
        }
    })
    .await;
    assert!(
        good_reads.get() > 0 && refused.get() > 0,
        "both states were met: {good_reads:?} {refused:?}"
    );
}

#[tokio::test]
async fn a_directory_swapped_for_a_link_never_leads_a_write_out() {
    let bench = Bench::without_sandbox();
    let outside = outside();
    while_swapping(&bench, outside.path(), async || {
        for number in 0..ROUNDS {
            let path = format!("directory/{}/{number}.txt", number % 10);
            let write = json!({ "file_path": path, "content": "written" });
            bench.call("Write", write).await;
            let edit =
                json!({ "file_path": path, "old_string": "written", "new_string": "edited" });
            bench.call("Edit", edit).await;
        }
    })
    .await;
    assert_eq!(
        fs::read_dir(outside.path()).expect("outside").count(),
        1,
        "0 escapes"
    );
    assert_eq!(
        fs::read_to_string(outside.path().join("secret.txt")).expect("the secret"),
        SECRET
    );
}

use std::ffi::OsStr;
use std::fs::{File, FileTimes};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, bad, found, good};

/// Makes a file that was modified `age` seconds after some day.
fn put_at(bench: &Bench, name: &str, age: u64) {
    let path = bench.put(name, "x");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + age);
    let file = File::options().write(true).open(path).expect("the file");
    file.set_times(FileTimes::new().set_modified(time))
        .expect("its time");
}

async fn glob(bench: &Bench, pattern: &str) -> String {
    good(&bench.call("Glob", json!({ "pattern": pattern })).await)
}

#[tokio::test]
async fn files_come_newest_first() {
    let bench = Bench::without_sandbox();
    put_at(&bench, "old.rs", 1);
    put_at(&bench, "src/new.rs", 3);
    put_at(&bench, "src/deep/mid.rs", 2);
    put_at(&bench, "other.txt", 4);
    let output = bench.call("Glob", json!({ "pattern": "**/*.rs" })).await;
    assert_eq!(
        good(&output),
        "/workspace/src/new.rs\n/workspace/src/deep/mid.rs\n/workspace/old.rs"
    );
    let detail = found(&output);
    assert_eq!(
        (detail.match_count, detail.truncated, detail.paths.len()),
        (3, false, 3)
    );
}

#[tokio::test]
async fn patterns_mean_what_they_mean_elsewhere() {
    let bench = Bench::without_sandbox();
    for name in [
        "a.ts",
        "src/b.tsx",
        "src/deep/c.ts",
        ".hidden/d.ts",
        "ignored/e.ts",
    ] {
        put_at(&bench, name, 1);
    }
    bench.put(".gitignore", "ignored/\n");
    bench.put(".git/f.ts", "x");
    for (pattern, expected) in [
        ("*.ts", 4),
        ("./a.ts", 1),
        ("src/*", 1),
        ("src/**", 2),
        ("**/*.{ts,tsx}", 5),
        ("/workspace/src/**/*.ts", 1),
        ("[ab].*", 2),
        ("nothing", 0),
    ] {
        let output = bench.call("Glob", json!({ "pattern": pattern })).await;
        assert_eq!(
            found(&output).match_count,
            expected,
            "{pattern}: {}",
            good(&output)
        );
    }
    assert_eq!(glob(&bench, "nothing").await, "No files found.");
}

#[tokio::test]
async fn a_search_begins_where_it_is_told() {
    let bench = Bench::without_sandbox();
    put_at(&bench, "a/x.txt", 1);
    put_at(&bench, "b/x.txt", 1);
    std::fs::write(bench.home("x.txt"), "x").expect("a file");
    for (path, expected) in [
        ("a", "/workspace/a/x.txt"),
        ("/workspace/b", "/workspace/b/x.txt"),
        ("/home/agent", "/home/agent/x.txt"),
    ] {
        let output = bench
            .call("Glob", json!({ "pattern": "**/*.txt", "path": path }))
            .await;
        assert_eq!(good(&output), expected);
    }
    for (path, words) in [
        ("missing", "does not exist"),
        ("a/x.txt", "not a directory"),
        ("/etc", "outside"),
    ] {
        let output = bench
            .call("Glob", json!({ "pattern": "*", "path": path }))
            .await;
        assert!(bad(&output).contains(words), "{path}: {}", bad(&output));
    }
    assert!(bad(&bench.call("Glob", json!({ "pattern": "/etc/*" })).await).contains("outside"));
    assert!(bad(&bench.call("Glob", json!({ "pattern": "a[" })).await).contains("not valid"));
}

#[tokio::test]
async fn over_a_hundred_files_the_newest_are_returned_and_it_says_so() {
    let bench = Bench::without_sandbox();
    for number in 0..150 {
        put_at(&bench, &format!("d{}/{number}.txt", number % 7), number);
    }
    let output = bench.call("Glob", json!({ "pattern": "**/*.txt" })).await;
    let text = good(&output);
    assert!(
        text.starts_with("/workspace/d2/149.txt\n/workspace/d1/148.txt\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\n(TRUNCATED: the newest 100 of 150 files.)"),
        "{text}"
    );
    assert_eq!(found(&output).paths.len(), 100);
    assert!(found(&output).truncated);
}

#[tokio::test]
async fn links_are_not_followed() {
    let bench = Bench::without_sandbox();
    put_at(&bench, "real/a.txt", 1);
    symlink("real", bench.file("link")).expect("a link");
    symlink("..", bench.file("real/loop")).expect("a link");
    symlink("/etc", bench.file("out")).expect("a link");
    assert_eq!(glob(&bench, "**/*").await, "/workspace/real/a.txt");
    let inside = bench
        .call("Glob", json!({ "pattern": "*", "path": "link" }))
        .await;
    assert_eq!(good(&inside), "/workspace/real/a.txt");
    let outside = bench
        .call("Glob", json!({ "pattern": "*", "path": "out" }))
        .await;
    assert!(bad(&outside).contains("leads out"), "{}", bad(&outside));
}

#[tokio::test]
async fn hostile_names_are_shown_escaped_and_not_lost() {
    let bench = Bench::without_sandbox();
    std::fs::write(bench.file("").join(OsStr::from_bytes(b"bad\xff.txt")), "x").expect("a file");
    bench.put("line\nbreak.txt", "x");
    bench.put("it's \u{1b}[31mred.txt", "x");
    let mut lines: Vec<String> = glob(&bench, "*.txt")
        .await
        .lines()
        .map(String::from)
        .collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            r"$'/workspace/bad\xff.txt'",
            r"$'/workspace/it\'s \x1b[31mred.txt'",
            r"$'/workspace/line\x0abreak.txt'",
        ]
    );
}

#[tokio::test]
async fn an_interrupted_search_ends() {
    let bench = Bench::without_sandbox();
    bench.put("a", "x");
    let cancel = CancellationToken::new();
    cancel.cancel();
    for tool in ["Glob", "Grep"] {
        let output = bench
            .call_until(tool, json!({ "pattern": "a" }), cancel.clone())
            .await;
        assert_eq!(bad(&output), "The call was interrupted.");
    }
}

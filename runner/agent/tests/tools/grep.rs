use std::fs::{File, FileTimes};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::{Bench, bad, found, good};

fn bench() -> Bench {
    let bench = Bench::without_sandbox();
    bench.put(
        "a.rs",
        "fn main() {\n    let needle = 1;\n    print(needle);\n}\n",
    );
    bench.put("b.txt", "no\nNEEDLE\nneedle needle\n");
    bench.put("src/c.rs", "// nothing\n");
    for (age, name) in ["b.txt", "a.rs", "src/c.rs"].iter().enumerate() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + age as u64);
        let file = File::options()
            .write(true)
            .open(bench.file(name))
            .expect("the file");
        file.set_times(FileTimes::new().set_modified(time))
            .expect("its time");
    }
    bench
}

async fn grep(bench: &Bench, input: Value) -> String {
    good(&bench.call("Grep", input).await)
}

#[tokio::test]
async fn files_with_matches_come_newest_first() {
    let bench = bench();
    let output = bench.call("Grep", json!({ "pattern": "needle" })).await;
    assert_eq!(good(&output), "/workspace/a.rs\n/workspace/b.txt");
    assert_eq!(found(&output).match_count, 2);
    assert_eq!(
        found(&output).paths,
        ["/workspace/a.rs", "/workspace/b.txt"]
    );
    assert_eq!(
        grep(&bench, json!({ "pattern": "absent" })).await,
        "No matches found."
    );
}

#[tokio::test]
async fn content_has_paths_and_line_numbers() {
    let bench = bench();
    let output = bench
        .call(
            "Grep",
            json!({ "pattern": "needle", "output_mode": "content" }),
        )
        .await;
    assert_eq!(
        good(&output),
        "/workspace/a.rs:2:    let needle = 1;\n/workspace/a.rs:3:    print(needle);\n/workspace/b.txt:3:needle needle"
    );
    assert_eq!(found(&output).match_count, 3);
    let plain =
        json!({ "pattern": "needle", "output_mode": "content", "-n": false, "path": "b.txt" });
    assert_eq!(grep(&bench, plain).await, "/workspace/b.txt:needle needle");
}

#[tokio::test]
async fn matches_are_counted_per_file() {
    let bench = bench();
    let output = bench
        .call(
            "Grep",
            json!({ "pattern": "needle", "output_mode": "count" }),
        )
        .await;
    assert_eq!(good(&output), "/workspace/a.rs:2\n/workspace/b.txt:1");
    assert_eq!(found(&output).match_count, 3);
}

#[tokio::test]
async fn options_do_what_they_say() {
    let bench = bench();
    let cases = [
        (
            json!({ "-i": true, "path": "b.txt" }),
            "/workspace/b.txt:2:NEEDLE\n/workspace/b.txt:3:needle needle",
        ),
        (
            json!({ "-o": true, "path": "b.txt" }),
            "/workspace/b.txt:3:needle\n/workspace/b.txt:3:needle",
        ),
        (
            json!({ "-B": 1, "path": "b.txt" }),
            "/workspace/b.txt-2-NEEDLE\n/workspace/b.txt:3:needle needle",
        ),
        (
            json!({ "-A": 1, "glob": "*.rs", "offset": 2 }),
            "/workspace/a.rs-4-}",
        ),
        (
            json!({ "-C": 1, "path": "/workspace/b.txt" }),
            "/workspace/b.txt-2-NEEDLE\n/workspace/b.txt:3:needle needle",
        ),
        (json!({ "type": "txt" }), "/workspace/b.txt:3:needle needle"),
        (
            json!({ "glob": "!*.rs" }),
            "/workspace/b.txt:3:needle needle",
        ),
        (json!({ "path": "src" }), "No matches found."),
    ];
    for (mut input, expected) in cases {
        input["pattern"] = "needle".into();
        input["output_mode"] = "content".into();
        assert_eq!(grep(&bench, input.clone()).await, expected, "{input}");
    }
}

#[tokio::test]
async fn groups_that_are_apart_are_separated() {
    let bench = Bench::without_sandbox();
    bench.put("f", "x\n1\n2\n3\nx\n");
    let input = json!({ "pattern": "x", "output_mode": "content", "-C": 1 });
    assert_eq!(
        grep(&bench, input).await,
        "/workspace/f:1:x\n/workspace/f-2-1\n--\n/workspace/f-4-3\n/workspace/f:5:x"
    );
}

#[tokio::test]
async fn multiline_matches_span_lines() {
    let bench = bench();
    let input = json!({ "pattern": r"main\(\) \{.*needle = 1", "output_mode": "content", "multiline": true });
    assert_eq!(
        grep(&bench, input).await,
        "/workspace/a.rs:1:fn main() {\n/workspace/a.rs:2:    let needle = 1;"
    );
    let single = json!({ "pattern": r"main\(\) \{.*needle = 1", "output_mode": "content" });
    assert_eq!(grep(&bench, single).await, "No matches found.");
}

#[tokio::test]
async fn ignore_files_are_honoured_also_above_the_start() {
    let bench = Bench::without_sandbox();
    bench.put(".gitignore", "*.log\n/build/\n!keep.log\n");
    bench.put("src/.gitignore", "!loud.log\ngenerated.rs\n");
    for name in [
        "x.log",
        "keep.log",
        "build/x.rs",
        "src/build/x.rs",
        "src/x.log",
        "src/loud.log",
        "src/generated.rs",
        "src/ok.rs",
        ".hidden",
        ".git/config",
        "node/.ignore",
    ] {
        let content = if name.ends_with(".ignore") {
            "quiet\n"
        } else {
            "needle\n"
        };
        bench.put(name, content);
    }
    bench.put("node/quiet", "needle\n");
    let output = bench.call("Grep", json!({ "pattern": "needle" })).await;
    let mut paths = found(&output).paths.clone();
    paths.sort();
    assert_eq!(
        paths,
        [
            "/workspace/.hidden",
            "/workspace/keep.log",
            "/workspace/src/build/x.rs",
            "/workspace/src/loud.log",
            "/workspace/src/ok.rs",
        ]
    );
    let below = bench
        .call("Grep", json!({ "pattern": "needle", "path": "src" }))
        .await;
    assert_eq!(found(&below).match_count, 3);
    let named = bench
        .call("Grep", json!({ "pattern": "needle", "path": "x.log" }))
        .await;
    assert_eq!(
        found(&named).match_count,
        1,
        "a file that is named is searched"
    );
}

#[tokio::test]
async fn binary_files_are_left_out() {
    let bench = Bench::without_sandbox();
    bench.put("data", b"\0\0needle\n");
    bench.put("latin", b"caf\xe9 needle\n");
    let input = json!({ "pattern": "needle", "output_mode": "content" });
    assert_eq!(
        grep(&bench, input).await,
        "/workspace/latin:1:caf\u{fffd} needle"
    );
}

#[tokio::test]
async fn the_answer_is_bounded_and_can_be_gone_through_in_pages() {
    let bench = Bench::without_sandbox();
    bench.put(
        "f",
        (1..=300)
            .map(|number| format!("needle {number}\n"))
            .collect::<String>(),
    );
    let output = bench
        .call(
            "Grep",
            json!({ "pattern": "needle", "output_mode": "content" }),
        )
        .await;
    let text = good(&output);
    assert!(
        text.contains(":250:needle 250\n(TRUNCATED") && !text.contains("needle 251"),
        "{text}"
    );
    assert!(found(&output).truncated);
    let next =
        json!({ "pattern": "needle", "output_mode": "content", "offset": 250, "head_limit": 10 });
    let text = grep(&bench, next).await;
    assert!(
        text.starts_with("/workspace/f:251:needle 251\n")
            && text.contains("needle 260\n(TRUNCATED"),
        "{text}"
    );
    let all = json!({ "pattern": "needle", "output_mode": "content", "head_limit": 0 });
    assert!(!grep(&bench, all).await.contains("TRUNCATED"));
    for number in 0..300 {
        bench.put(&format!("many/{number}"), "needle\n");
    }
    let output = bench.call("Grep", json!({ "pattern": "needle" })).await;
    assert_eq!(found(&output).match_count, 301);
    assert_eq!(found(&output).paths.len(), 100);
    assert_eq!(good(&output).lines().count(), 251);
}

#[tokio::test]
async fn long_lines_and_much_text_are_cut() {
    let bench = Bench::without_sandbox();
    bench.put("f", format!("{}needle\n", "x".repeat(1_000_000)).repeat(3));
    let input = json!({ "pattern": "needle", "output_mode": "content" });
    let text = grep(&bench, input).await;
    assert!(text.len() < 2000 && text.contains("… [cut]"), "{text}");
    bench.put("g", format!("needle {}\n", "y".repeat(400)).repeat(1000));
    let all = json!({ "pattern": "needle", "output_mode": "content", "head_limit": 0 });
    let text = grep(&bench, all).await;
    assert!(
        text.chars().count() < 30_200 && text.contains("TRUNCATED"),
        "{}",
        text.len()
    );
}

#[tokio::test]
async fn what_is_not_valid_is_an_error_that_says_so() {
    let bench = bench();
    for (input, words) in [
        (json!({ "pattern": "(" }), "not a valid regular expression"),
        (json!({ "pattern": "a", "glob": "a[" }), "glob is not valid"),
        (
            json!({ "pattern": "a", "type": "no-such-type" }),
            "not a known file type",
        ),
        (
            json!({ "pattern": "a", "path": "missing" }),
            "does not exist",
        ),
        (json!({ "pattern": "a", "path": "/etc" }), "outside"),
        (json!({ "pattern": "a", "output_mode": "other" }), "other"),
        (json!({ "pattern": "a", "-x": 1 }), "-x"),
    ] {
        let said = bad(&bench.call("Grep", input.clone()).await);
        assert!(said.contains(words), "{input}: {said}");
    }
}

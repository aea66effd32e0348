use serde_json::json;

use crate::support::{Bench, bad, change, good};

async fn edit(
    bench: &Bench,
    path: &str,
    old: &str,
    new: &str,
) -> membrane_agent::tools::ToolOutput {
    let input = json!({ "file_path": path, "old_string": old, "new_string": new });
    bench.call("Edit", input).await
}

#[tokio::test]
async fn one_place_is_replaced_and_the_difference_is_told() {
    let bench = Bench::without_sandbox();
    bench.put("a.rs", "fn a() {}\nfn b() {}\nfn c() {}\n");
    good(&bench.read("a.rs").await);
    let output = edit(&bench, "a.rs", "fn b() {}", "fn b() {\n    1\n}").await;
    assert_eq!(
        good(&output),
        "Edited /workspace/a.rs in 1 place (3 lines added, 1 removed)."
    );
    assert_eq!(
        bench.content("a.rs"),
        "fn a() {}\nfn b() {\n    1\n}\nfn c() {}\n"
    );
    let detail = change(&output);
    assert_eq!(
        (detail.lines_added, detail.lines_removed, detail.created),
        (3, 1, false)
    );
    assert_eq!(
        detail.unified_diff,
        "@@ -1,3 +1,5 @@\n fn a() {}\n-fn b() {}\n+fn b() {\n+    1\n+}\n fn c() {}\n"
    );
}

#[tokio::test]
async fn edits_may_follow_each_other_without_reading_again() {
    let bench = Bench::without_sandbox();
    bench.put("a", "1 2 3\n");
    good(&bench.read("a").await);
    good(&edit(&bench, "a", "1", "one").await);
    good(&edit(&bench, "a", "2", "two").await);
    assert_eq!(bench.content("a"), "one two 3\n");
}

#[tokio::test]
async fn a_file_that_was_not_read_or_changed_since_is_left_alone() {
    let bench = Bench::without_sandbox();
    bench.put("a", "text\n");
    assert!(bad(&edit(&bench, "a", "text", "x").await).contains("has not been read yet"));
    good(&bench.read("a").await);
    bench.put("a", "text and more\n");
    assert!(bad(&edit(&bench, "a", "text", "x").await).contains("has changed since"));
    assert_eq!(bench.content("a"), "text and more\n");
}

#[tokio::test]
async fn text_that_is_not_there_or_not_unique_is_an_error() {
    let bench = Bench::without_sandbox();
    bench.put("a", "same same\n");
    good(&bench.read("a").await);
    for (old, new, words) in [
        ("other", "x", "does not occur"),
        ("same", "x", "occurs 2 times"),
        ("same same", "same same", "are the same"),
        ("", "x", "old_string is empty"),
        ("Same", "x", "does not occur"),
    ] {
        let said = bad(&edit(&bench, "a", old, new).await);
        assert!(said.contains(words), "{old}: {said}");
    }
    assert_eq!(bench.content("a"), "same same\n");
}

#[tokio::test]
async fn every_place_is_replaced_when_asked_for() {
    let bench = Bench::without_sandbox();
    bench.put("a", "x = x + x\n");
    good(&bench.read("a").await);
    let input =
        json!({ "file_path": "a", "old_string": "x", "new_string": "long", "replace_all": true });
    assert!(good(&bench.call("Edit", input).await).contains("in 3 places"));
    assert_eq!(bench.content("a"), "long = long + long\n");
}

#[tokio::test]
async fn line_ends_of_a_crlf_file_are_preserved() {
    let bench = Bench::without_sandbox();
    bench.put("dos.txt", "one\r\ntwo\r\nthree\r\n");
    good(&bench.read("dos.txt").await);
    good(&edit(&bench, "dos.txt", "one\ntwo", "1\n2\n2½").await);
    assert_eq!(bench.content("dos.txt"), "1\r\n2\r\n2½\r\nthree\r\n");
    good(&edit(&bench, "dos.txt", "2½\r\n", "").await);
    assert_eq!(bench.content("dos.txt"), "1\r\n2\r\nthree\r\n");
}

#[tokio::test]
async fn mixed_line_ends_are_matched_as_they_are() {
    let bench = Bench::without_sandbox();
    bench.put("mixed", "a\r\nb\nc\r\n");
    good(&bench.read("mixed").await);
    assert!(bad(&edit(&bench, "mixed", "a\nb", "x").await).contains("does not occur"));
    good(&edit(&bench, "mixed", "b\nc", "x").await);
    assert_eq!(bench.content("mixed"), "a\r\nx\r\n");
}

#[tokio::test]
async fn a_missing_file_and_one_that_is_no_text_are_errors() {
    let bench = Bench::without_sandbox();
    assert!(bad(&edit(&bench, "missing", "a", "b").await).contains("Create it with Write"));
    bench.put("latin", b"caf\xe9\n");
    good(&bench.read("latin").await);
    assert!(bad(&edit(&bench, "latin", "caf", "b").await).contains("is not UTF-8"));
}

#[tokio::test]
async fn a_file_does_not_grow_over_its_bound() {
    let bench = Bench::without_sandbox();
    bench.put("a", "x".repeat(1024));
    good(&bench.read("a").await);
    let input = json!({ "file_path": "a", "old_string": "x", "new_string": "y".repeat(20_000), "replace_all": true });
    assert!(bad(&bench.call("Edit", input).await).contains("larger than 16 MiB"));
}

//! Strings that look like keys. Scanners do not know a test from the real thing, and neither does
//! a reader.

use crate::files::File;

/// A beginning that providers give their keys, and how many characters of one must follow.
/// The beginnings are written in two parts so that this file does not match itself.
const KEYS: [(&str, usize); 14] = [
    (concat!("sk", "-ant-"), 3),
    (concat!("sk", "-or-"), 3),
    (concat!("sk", "-proj-"), 3),
    (concat!("sk", "-"), 20),
    (concat!("AK", "IA"), 16),
    (concat!("AS", "IA"), 16),
    (concat!("AI", "za"), 30),
    (concat!("gh", "p_"), 20),
    (concat!("gh", "o_"), 20),
    (concat!("gh", "s_"), 20),
    (concat!("github", "_pat_"), 20),
    (concat!("xox", "b-"), 10),
    (concat!("xox", "p-"), 10),
    (concat!("xox", "a-"), 10),
];

pub fn all(files: &[File]) -> Vec<String> {
    let found = |file: &File| {
        let lines = file.lines().filter(|(_, line)| looks_like_a_key(line));
        // The finding must not repeat what may be a real key.
        let findings = lines.map(|(number, _)| format!("{}:{number}", file.path));
        findings.collect::<Vec<_>>()
    };
    files.iter().flat_map(found).collect()
}

fn looks_like_a_key(line: &str) -> bool {
    let private =
        line.contains(concat!("-----BEG", "IN")) && line.contains(concat!("PRIVATE ", "KEY-----"));
    private || KEYS.iter().any(|(start, more)| has_key(line, start, *more))
}

fn has_key(line: &str, start: &str, more: usize) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let rest = &line[at + start.len()..];
        let length = rest
            .chars()
            .take_while(|&c| c.is_ascii_alphanumeric() || "-_".contains(c));
        !before.is_some_and(char::is_alphanumeric) && length.count() >= more
    })
}

#[test]
fn keys_are_told_from_words() {
    for (start, more) in KEYS {
        assert!(
            looks_like_a_key(&format!("key = \"{start}{}\"", "A".repeat(more))),
            "{start}"
        );
    }
    let header = [
        concat!("-----BEG", "IN"),
        "RSA",
        concat!("PRIVATE ", "KEY-----"),
    ]
    .join(" ");
    assert!(looks_like_a_key(&header));
    for line in [
        "a task-list",
        "risk-management-is-a-long-story",
        "<your-key>",
        "sk-",
        "ghp_x",
    ] {
        assert!(!looks_like_a_key(line), "{line}");
    }
}

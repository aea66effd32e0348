//! Words that may stand only in some places, or nowhere.

use crate::files::File;

/// A word in Rust sources and where it may stand.
struct Word {
    word: &'static str,
    /// Beginnings of paths.
    only: &'static [&'static str],
    /// Whether tests may use it anywhere.
    tests: bool,
}

const WORDS: [Word; 5] = [
    Word {
        word: "sea_orm",
        only: &["server/src/db/", "server/entity/", "migration/"],
        tests: false,
    },
    Word {
        word: "tonic::Status",
        only: &[
            "server/src/grpc/",
            "server/src/error.rs",
            // Mounts the gRPC routes and answers for unknown ones.
            "server/src/web/",
            "runner/src/control",
            "app/src/api",
            // A server of nothing but tonic, to compare with.
            "end2end/bench/src/raw.rs",
        ],
        tests: true,
    },
    Word {
        word: "std::env",
        only: &["server/src/config", "runner/src/config", "proto/build.rs"],
        tests: true,
    },
    Word {
        word: "leptos",
        only: &["app/", "server/src/web/"],
        tests: false,
    },
    Word {
        word: "unsafe ",
        only: &[],
        tests: false,
    },
];

/// Places that still break a rule. To be removed, not added to: an entry that is no longer needed
/// fails as well.
const OWED: [(&str, &str); 0] = [];

pub fn misplaced(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut owed = OWED.to_vec();
    let own = file!().rsplit_once("/words.rs").map_or("", |(own, _)| own);
    for file in files
        .iter()
        .filter(|file| file.is_rust() && !file.path.starts_with(own))
    {
        let code = code(&file.text);
        for word in WORDS.iter().filter(|word| !word.may_stand_in(file)) {
            let Some(line) = word.line_in(&code) else {
                continue;
            };
            match owed
                .iter()
                .position(|&owed| owed == (&*file.path, word.word))
            {
                Some(known) => drop(owed.swap_remove(known)),
                None => findings.push(format!("{}:{line}: {}", file.path, word.word)),
            }
        }
    }
    let paid = owed
        .iter()
        .map(|(path, word)| format!("{path} no longer has {word}: remove it here"));
    findings.extend(paid);
    findings
}

impl Word {
    fn may_stand_in(&self, file: &File) -> bool {
        self.only.iter().any(|place| file.path.starts_with(place)) || (self.tests && file.is_test())
    }

    /// The first line that names the word, either as written or through a `use` of its parts.
    fn line_in(&self, code: &str) -> Option<usize> {
        let line = |at: usize| code[..at].matches('\n').count() + 1;
        if let Some(at) = find_word(code, self.word) {
            return Some(line(at));
        }
        let (head, tail) = self.word.rsplit_once("::")?;
        let mut from = 0;
        while let Some(at) = code[from..].find(&format!("{head}::{{")) {
            let start = from + at;
            let group = code[start..].split(';').next().unwrap_or_default();
            if find_word(group, tail).is_some() {
                return Some(line(start));
            }
            from = start + head.len();
        }
        None
    }
}

/// The place of a word that is not a part of a longer one.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).find(|&at| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(part) && (word.ends_with(' ') || !after.is_some_and(part))
    })
}

/// The text without comments; lines stay where they are.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| match line.find("//") {
        // Not the slashes of an address.
        Some(at) if !line[..at].ends_with(':') => &line[..at],
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Marks of skipped tests, cut in two so that this file is not one of them.
const SKIPS: [(&str, &[&str]); 5] = [
    (concat!("#[ig", "nore"), &["rs"]),
    (concat!(".sk", "ip("), &["js", "mjs", "ts"]),
    (concat!(".on", "ly("), &["js", "mjs", "ts"]),
    (concat!("pytest.", "skip"), &["py"]),
    (concat!("mark.", "skip"), &["py"]),
];

pub fn skipped_tests(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files {
        let ending = file.path.rsplit('.').next().unwrap_or_default();
        for (mark, _) in SKIPS
            .iter()
            .filter(|(_, endings)| endings.contains(&ending))
        {
            findings.extend(lines_with(file, mark));
        }
    }
    findings
}

pub fn machine_paths(files: &[File]) -> Vec<String> {
    let homes = [concat!("/wo", "rk/main"), concat!("/wo", "rk/shared")];
    files
        .iter()
        .flat_map(|file| homes.iter().flat_map(move |home| lines_with(file, home)))
        .collect()
}

fn lines_with<'a>(file: &'a File, mark: &'a str) -> impl Iterator<Item = String> + 'a {
    file.lines()
        .filter(move |(_, line)| line.contains(mark))
        .map(|(number, line)| format!("{}:{number}: {}", file.path, line.trim()))
}

#[test]
fn words_are_found_however_they_are_imported() {
    let status = &WORDS[1];
    for code in [
        "fn f(s: tonic::Status) {}",
        "use tonic::{Request, Status};",
        "use tonic::{\n    Request,\n    Status,\n};",
    ] {
        assert!(status.line_in(code).is_some(), "{code}");
    }
    for code in [
        "use tonic::{Request, StatusExt};",
        "let tonic_Status = 1;",
        "use tonic::Code;",
    ] {
        assert!(status.line_in(code).is_none(), "{code}");
    }
    assert_eq!(code("a // sea_orm\nb \"http://x\""), "a \nb \"http://x\"");
}

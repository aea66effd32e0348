//! Names that lead elsewhere, mean something else elsewhere, or mean nothing.

use super::{Case, case};
use crate::raw::{Entry, FILE, directory, extra, file, zip};

pub(super) fn cases() -> Vec<Case> {
    let long_name = "n".repeat(256);
    let long_path = format!("{}f", "0123456789/".repeat(100));
    let deep_path = format!("{}f", "d/".repeat(64));
    [paths(), encodings()]
        .into_iter()
        .flatten()
        .chain([
            case(
                "name of 256 bytes",
                "ARCHIVE_NAME_TOO_LONG",
                "nnn…",
                one(&long_name),
            ),
            case(
                "path of 1101 bytes",
                "ARCHIVE_PATH_TOO_LONG",
                "012345",
                one(&long_path),
            ),
            case("65 levels", "ARCHIVE_TOO_DEEP", "d/d/d", one(&deep_path)),
        ])
        .collect()
}

fn paths() -> Vec<Case> {
    let traversal = |name, path, shows| case(name, "ARCHIVE_PATH_TRAVERSAL", shows, one(path));
    let not_normal = |name, path, shows| case(name, "ARCHIVE_PATH_NOT_NORMAL", shows, one(path));
    vec![
        traversal("parent", "../evil", "../evil"),
        traversal("parent within", "a/../../evil", "a/../../evil"),
        traversal("parent that stays inside", "a/../b", "a/../b"),
        traversal("parent alone", "..", ".."),
        case(
            "parent directory",
            "ARCHIVE_PATH_TRAVERSAL",
            "..",
            zip(&[directory("a/../")]),
        ),
        traversal("parent after an innocent entry", "ok/../../evil", "evil"),
        case(
            "absolute",
            "ARCHIVE_PATH_ABSOLUTE",
            "/etc/passwd",
            one("/etc/passwd"),
        ),
        case(
            "absolute twice",
            "ARCHIVE_PATH_ABSOLUTE",
            "//host",
            one("//host/share"),
        ),
        case(
            "root",
            "ARCHIVE_PATH_ABSOLUTE",
            "\"/\"",
            zip(&[directory("/")]),
        ),
        case("drive", "ARCHIVE_PATH_DRIVE", "C:/", one("C:/evil")),
        case(
            "drive-relative",
            "ARCHIVE_PATH_DRIVE",
            "c:evil",
            one("c:evil"),
        ),
        case(
            "backslash parent",
            "ARCHIVE_PATH_BACKSLASH",
            "..",
            one("..\\evil"),
        ),
        case(
            "backslash root",
            "ARCHIVE_PATH_BACKSLASH",
            "evil",
            one("\\evil"),
        ),
        case(
            "backslash within",
            "ARCHIVE_PATH_BACKSLASH",
            "a",
            one("a\\b"),
        ),
        case(
            "backslash drive",
            "ARCHIVE_PATH_BACKSLASH",
            "C:",
            one("C:\\evil"),
        ),
        case("NUL", "ARCHIVE_NAME_NUL", "a.txt\\0", one("a.txt\0.exe")),
        not_normal("dot", ".", "."),
        not_normal("leading dot", "./a", "./a"),
        not_normal("dot within", "a/./b", "a/./b"),
        not_normal("empty component", "a//b", "a//b"),
        case(
            "two trailing slashes",
            "ARCHIVE_PATH_NOT_NORMAL",
            "a/",
            zip(&[directory("a//")]),
        ),
        case("no name", "ARCHIVE_NAME_EMPTY", "", one("")),
        case(
            "staging name",
            "ARCHIVE_NAME_RESERVED",
            ".membrane",
            one(".membrane-import/x"),
        ),
        case(
            "staging name in capitals",
            "ARCHIVE_NAME_RESERVED",
            "",
            one(".Membrane-Commit"),
        ),
    ]
}

fn encodings() -> Vec<Case> {
    let not_utf8 = Entry::new(b"caf\xe9", FILE, b"").both(|header| header.flags = 0);
    let marked = not_utf8.clone().both(|header| header.flags = 1 << 11);
    let dos = file("é", b"")
        .both(|header| header.flags = 0)
        .with(|entry| entry.host = 0);
    let second = extra(0x7075, b"\x01\0\0\0\0other");
    let renamed = file("one", b"").both(|header| header.extra = second.clone());
    let short = file("one", b"").both(|header| header.extra = extra(0x7075, b"\x01"));
    vec![
        case("Latin-1", "ARCHIVE_NAME_ENCODING", "caf", zip(&[not_utf8])),
        case(
            "Latin-1 marked as UTF-8",
            "ARCHIVE_NAME_ENCODING",
            "caf",
            zip(&[marked]),
        ),
        case(
            "code page of DOS",
            "ARCHIVE_NAME_ENCODING",
            "é",
            zip(&[dos]),
        ),
        case(
            "second name",
            "ARCHIVE_NAME_AMBIGUOUS",
            "one",
            zip(&[renamed]),
        ),
        case(
            "cut second name",
            "ARCHIVE_EXTRA_FIELD",
            "one",
            zip(&[short]),
        ),
    ]
}

fn one(name: &str) -> Vec<u8> {
    zip(&[file("first", b"innocent"), file(name, b"evil")])
}

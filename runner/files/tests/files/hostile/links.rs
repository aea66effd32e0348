//! Symbolic links out of the tree, alone, in chains, and as a way to write elsewhere.

use super::{Case, case};
use crate::raw::{Entry, LINK, file, link, zip};

pub(super) fn cases() -> Vec<Case> {
    [targets(), chains()].into_iter().flatten().collect()
}

fn targets() -> Vec<Case> {
    let escape = |name, entry: Entry| case(name, "ARCHIVE_SYMLINK_ESCAPES", "l", zip(&[entry]));
    let invalid = |name, entry: Entry| case(name, "ARCHIVE_SYMLINK_INVALID", "l", zip(&[entry]));
    let absolute = |name, target| case(name, "ARCHIVE_SYMLINK_ABSOLUTE", "l", one(target));
    let long = "x".repeat(4097);
    let lying = link("l", "../../outside")
        .deflated()
        .both(|header| header.size = 3);
    vec![
        absolute("absolute link", "/etc/passwd"),
        absolute("link to the root", "/"),
        escape("link to the parent", link("l", "..")),
        escape("link above the parent", link("d/l", "../../x")),
        escape("link above by dots and slashes", link("d/l", ".././/..")),
        escape(
            "deflated link to the parent",
            link("d/l", "../../../../etc").deflated(),
        ),
        invalid("empty link", link("l", "")),
        invalid("link with NUL", link("l", "a\0b")),
        invalid("link with backslash", link("l", "..\\x")),
        invalid("link that is not UTF-8", Entry::new("l", LINK, b"\xff")),
        case(
            "link of 4097 bytes",
            "ARCHIVE_SYMLINK_TOO_LONG",
            "l",
            one(&long),
        ),
        case(
            "link longer than declared",
            "ARCHIVE_SIZE_MISMATCH",
            "l",
            zip(&[lying]),
        ),
    ]
}

fn chains() -> Vec<Case> {
    let through =
        |name, entries: &[Entry]| case(name, "ARCHIVE_THROUGH_SYMLINK", "l/", zip(entries));
    let detour = |name, entries: &[Entry]| case(name, "ARCHIVE_SYMLINK_DETOUR", "", zip(entries));
    vec![
        through(
            "link, then written through",
            &[link("l", "d"), file("l/x", b"evil")],
        ),
        through(
            "link out, then written through",
            &[link("l", "/tmp"), file("l/x", b"evil")],
        ),
        through("link within a link", &[link("l", "."), link("l/up", "..")]),
        case(
            "written, then a link in its place",
            "ARCHIVE_THROUGH_SYMLINK",
            "\"l\"",
            zip(&[file("l/x", b"evil"), link("l", "..")]),
        ),
        detour(
            "up after a link",
            &[link("d/s", ".."), link("d/t", "s/../evil")],
        ),
        detour(
            "up after two links",
            &[link("a/b/c", "../.."), link("e", "a/b/c/../..")],
        ),
        detour("down and up again", &[link("l", "a/..")]),
        case(
            "chain whose last link escapes",
            "ARCHIVE_SYMLINK_ESCAPES",
            "\"c\"",
            zip(&[link("a", "b"), link("b", "c"), link("c", "../x")]),
        ),
    ]
}

fn one(target: &str) -> Vec<u8> {
    zip(&[link("l", target)])
}

//! Entries that contradict each other, and kinds that contradict themselves.

use super::{Case, case};
use crate::raw::{DIRECTORY, Entry, FILE, directory, file, link, zip};

pub(super) fn cases() -> Vec<Case> {
    [pairs(), kinds()].into_iter().flatten().collect()
}

fn pairs() -> Vec<Case> {
    let pair = |a: &str, b: &str| zip(&[file(a, b"1"), file(b, b"2")]);
    let twin = |name, a, b, shows| case(name, "ARCHIVE_TWIN", shows, pair(a, b));
    let clash = |name, shows, bytes| case(name, "ARCHIVE_FILE_DIRECTORY_CLASH", shows, bytes);
    let duplicate = |name, shows, bytes| case(name, "ARCHIVE_DUPLICATE", shows, bytes);
    vec![
        duplicate("same file", "a", pair("a", "a")),
        duplicate(
            "same directory",
            "d",
            zip(&[directory("d/"), directory("d/")]),
        ),
        duplicate("same link", "l", zip(&[link("l", "a"), link("l", "b")])),
        twin("case twins", "Readme", "README", "Readme"),
        twin("case twins of directories", "Src/a", "src/b", "Src"),
        twin("composed and decomposed", "caf\u{e9}", "cafe\u{301}", "caf"),
        twin("both at once", "CAF\u{c9}", "cafe\u{301}", "CAF"),
        twin("Kelvin sign", "\u{212a}", "k", "k"),
        twin("sigma at the end", "ΟΔΟΣ", "οδος", "ΟΔΟΣ"),
        clash("file, then beneath it", "a/b", pair("a", "a/b")),
        clash("beneath, then the file", "\"a\"", pair("a/b", "a")),
        clash(
            "file and directory",
            "a",
            zip(&[file("a", b""), directory("a/")]),
        ),
        clash(
            "directory and file",
            "a",
            zip(&[directory("a/"), file("a", b"")]),
        ),
        clash("link and file", "a", zip(&[link("a", "b"), file("a", b"")])),
        clash(
            "link and directory",
            "a",
            zip(&[link("a", "b"), directory("a/")]),
        ),
        clash(
            "beneath a device",
            "n/x",
            zip(&[Entry::new("n", 0o020_666, b""), file("n/x", b"")]),
        ),
    ]
}

fn kinds() -> Vec<Case> {
    let unclear = |name, entry: Entry| case(name, "ARCHIVE_KIND_AMBIGUOUS", "x", zip(&[entry]));
    let data = Entry::new("x/", DIRECTORY, b"data");
    let dos_link = link("x", "a").with(|entry| entry.host = 0);
    let dos_directory = file("x", b"").with(|entry| entry.attributes |= 0x10);
    vec![
        case(
            "directory with data",
            "ARCHIVE_DIRECTORY_WITH_DATA",
            "x",
            zip(&[data]),
        ),
        unclear("slash on a file", Entry::new("x/", FILE, b"")),
        unclear("slash on a link", link("x/", "a")),
        unclear("slash on a device", Entry::new("x/", 0o060_666, b"")),
        unclear("directory without slash", Entry::new("x", DIRECTORY, b"")),
        unclear("DOS directory without slash", dos_directory),
        unclear("link made on DOS", dos_link),
        unclear("unknown type", Entry::new("x", 0o150_644, b"")),
    ]
}

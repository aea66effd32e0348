//! Paths of a workspace's files, in the spelling of the wire: taken apart, put together, and as
//! a part of an address.

use std::fmt::Write as _;

/// Entries at the top whose plain addresses are downloads and not pages.
const TAKEN: [&str; 2] = ["raw", "archive"];

/// The last component.
pub fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The directory that something is in; the top is in itself.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// What is called `name` in a directory.
pub fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        directory => format!("{directory}/{name}"),
    }
}

/// The top and every directory down to the parent.
pub fn ancestors(path: &str) -> Vec<&str> {
    if path.is_empty() {
        return Vec::new();
    }
    let inner = path.match_indices('/').map(|(at, _)| &path[..at]);
    std::iter::once("").chain(inner).collect()
}

/// Whether it is the directory itself or somewhere below it.
pub fn is_within(path: &str, directory: &str) -> bool {
    match path.strip_prefix(directory) {
        Some(rest) => directory.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// The page of an entry.
pub fn address(workspace_id: &str, path: &str) -> String {
    let mut address = format!("/workspaces/{workspace_id}/files");
    for (depth, part) in path.split('/').filter(|part| !part.is_empty()).enumerate() {
        address.push('/');
        // A letter may be written as its number, which keeps such a name away from the downloads.
        if depth == 0 && TAKEN.contains(&part) {
            let _ = write!(address, "%{:02X}", part.as_bytes()[0]);
            encode(&part[1..], &mut address);
        } else {
            encode(part, &mut address);
        }
    }
    address
}

/// The page of a file at one of its lines, from 1.
pub fn line_address(workspace_id: &str, path: &str, line: i64) -> String {
    let page = address(workspace_id, path);
    let extension = name(path).rsplit_once('.').map_or("", |(_, end)| end);
    // What is shown as something else than text has lines in its source only.
    let source = match extension.to_ascii_lowercase().as_str() {
        "md" | "markdown" | "ipynb" | "csv" | "tsv" | "tab" | "svg" => "?view=source",
        _ => "",
    };
    format!("{page}{source}#L{line}")
}

/// The page where a file is edited.
pub fn edit_address(workspace_id: &str, path: &str) -> String {
    let mut address = format!("/workspaces/{workspace_id}/edit");
    for part in path.split('/').filter(|part| !part.is_empty()) {
        address.push('/');
        encode(part, &mut address);
    }
    address
}

/// The entry whose page has this address; the top where it is no such page.
pub fn from_address(address: &str) -> String {
    let mut parts = address.split('/').skip(4);
    let mut path = String::new();
    for part in parts.by_ref().filter(|part| !part.is_empty()) {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(&decode(part));
    }
    path
}

/// Whether the address of an entry's page asks for its source.
pub fn wants_source(query: &leptos_router::params::ParamsMap) -> bool {
    query.get_str("view") == Some("source")
}

/// What a document in a directory means by an address without a host, as long as it stays in the
/// workspace. A leading slash means the top.
pub fn resolve(directory: &str, address: &str) -> Option<String> {
    let address = address.split(['?', '#']).next()?;
    let first = address.split('/').next()?;
    if address.is_empty() || address.starts_with("//") || first.contains(':') {
        return None;
    }
    let mut parts: Vec<String> = match address.starts_with('/') {
        true => Vec::new(),
        false => directory.split('/').map(str::to_owned).collect(),
    };
    parts.retain(|part| !part.is_empty());
    for part in address.split('/') {
        match decode(part).as_str() {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part if part.contains(['/', '\0']) => return None,
            part => parts.push(spelled(part)),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Where the bytes of a file are.
pub fn raw(workspace_id: &str, path: &str) -> String {
    download("raw", workspace_id, path)
}

/// Where a directory is as a zip archive.
pub fn archive(workspace_id: &str, path: &str) -> String {
    download("archive", workspace_id, path)
}

fn download(route: &str, workspace_id: &str, path: &str) -> String {
    let mut address = format!("/workspaces/{workspace_id}/files/{route}?path=");
    encode(path, &mut address);
    address
}

/// A path as one word of ASCII, for ids within a page.
pub fn word(path: &str) -> String {
    let mut word = String::new();
    encode(path, &mut word);
    word
}

/// Percent-encodes all but what RFC 3986 calls unreserved.
pub fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// Takes percent-encoding back; what is not encoded well stands for itself.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let number = (*first == b'%').then(|| escaped(tail)).flatten();
        bytes.push(number.unwrap_or(*first));
        rest = if number.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escaped(after: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(after.get(..2)?).ok()?;
    let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| u8::from_str_radix(digits, 16).ok())?
}

/// A name that came from outside, in the spelling of the wire.
pub fn spelled(name: &str) -> String {
    name.replace('\\', "\\\\")
}

/// What a tool calls a file, as a path in the workspace; none for what lies elsewhere.
pub fn of_tool(path: &str) -> Option<String> {
    let inside = match path.strip_prefix("/workspace") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ if path.starts_with('/') => return None,
        _ => path,
    };
    let parts: Vec<_> = inside
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| spelled(&parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_and_put_together() {
        assert_eq!((parent("a/b/c"), name("a/b/c")), ("a/b", "c"));
        assert_eq!((parent("a"), name("a")), ("", "a"));
        assert_eq!(parent(""), "");
        assert_eq!(
            (join("", "a"), join("a/b", "c")),
            ("a".to_owned(), "a/b/c".to_owned())
        );
        assert_eq!(ancestors("a/b/c"), ["", "a", "a/b"]);
        assert_eq!(ancestors("a"), [""]);
        assert!(ancestors("").is_empty());
    }

    #[test]
    fn a_line_is_shown_where_there_are_lines() {
        assert!(line_address("w", "src/main.rs", 7).ends_with("/files/src/main.rs#L7"));
        assert!(line_address("w", "READ.Me.MD", 7).ends_with("/READ.Me.MD?view=source#L7"));
        assert!(line_address("w", "md", 7).ends_with("/files/md#L7"));
    }

    #[test]
    fn what_begins_alike_is_not_within() {
        assert!(is_within("a/b", "a"));
        assert!(is_within("a", "a"));
        assert!(is_within("a", ""));
        assert!(!is_within("ab", "a"));
        assert!(!is_within("a", "a/b"));
    }

    #[test]
    fn every_path_survives_its_address() {
        for path in [
            "",
            "src/main.rs",
            "100%/%41",
            "a b/ü/\u{202e}x",
            "q?&#;=+",
            "back\\\\slash/\\xff",
            "<b>\"'`{}|^",
            "raw",
            "archive/raw",
        ] {
            let address = address("w", path);
            assert!(
                address.is_ascii() && !address.contains(['?', '#', '\\', ' ']),
                "{address}"
            );
            assert_eq!(from_address(&address), path, "{address}");
            let address = edit_address("w", path);
            assert_eq!(from_address(&address), path, "{address}");
        }
        assert_eq!(address("w", "raw"), "/workspaces/w/files/%72aw");
        assert_eq!(edit_address("w", "raw/é"), "/workspaces/w/edit/raw/%C3%A9");
        assert_eq!(address("w", "a/raw"), "/workspaces/w/files/a/raw");
        assert_eq!(raw("w", "a/b c"), "/workspaces/w/files/raw?path=a%2Fb%20c");
    }

    #[test]
    fn a_document_means_what_is_beside_it_and_nothing_outside() {
        for (address, expected) in [
            ("a.png", Some("docs/a.png")),
            ("./img/a%20b.png?raw#x", Some("docs/img/a b.png")),
            ("../a.png", Some("a.png")),
            ("/img/a.png", Some("img/a.png")),
            ("a\\b", Some("docs/a\\\\b")),
            ("../../a.png", None),
            ("%2e%2e/%2e%2e/a", None),
            ("a%2f..%2f..%2fb", None),
            ("https://example.com/a.png", None),
            ("//example.com/a.png", None),
            ("javascript:alert(1)", None),
            ("data:image/png;base64,", None),
            ("#part", None),
            ("..", None),
        ] {
            assert_eq!(resolve("docs", address).as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn a_broken_address_is_read_as_it_stands() {
        assert_eq!(from_address("/workspaces/w/files/a%zz/%f"), "a%zz/%f");
        assert_eq!(from_address("/workspaces/w/files/%+1"), "%+1");
        assert_eq!(from_address("/workspaces/w/files//a//b/"), "a/b");
        assert_eq!(from_address("/workspaces/w/files/%ff"), "\u{fffd}");
        assert_eq!(from_address("/workspaces/w/trash"), "");
    }

    #[test]
    fn only_a_tools_files_of_the_workspace_have_a_page() {
        for (path, expected) in [
            ("/workspace/src/a.rs", Some("src/a.rs")),
            ("notes.md", Some("notes.md")),
            ("./a/./b", Some("a/b")),
            ("/workspace/a\\b", Some("a\\\\b")),
            ("/workspaces/a", None),
            ("/workspace", None),
            ("/etc/hosts", None),
            ("../a", None),
            ("", None),
        ] {
            assert_eq!(of_tool(path).as_deref(), expected, "{path}");
        }
    }
}
